// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

#include "core/policy/policy.h"
#include "core/policy/quantise.h"

namespace kvista {
namespace {

constexpr double kLargest = 448;  // of e4m3

/// e4m3 numbers with one 16-bit scale a head's token.
at::Tensor eightBits(const at::Tensor& x) {
  if (x.numel() == 0) return x;
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = (wide.abs().amax({-1}, true) / kLargest).to(at::kHalf).to(at::kFloat).clamp_min(6e-8);
  return ((wide / scale).clamp(-kLargest, kLargest).to(at::kFloat8_e4m3fn).to(at::kFloat) * scale).to(x.scalar_type());
}

class EightBits final : public CacheStorage {
 public:
  explicit EightBits(const ModelShape& shape)
      : tokenBytes_(shape.headDim + shape.valueHeadDim + sidesOf(shape) * kScaleBytes / 2) {}
  Result<void> store(const LayerView&, LiveLayer& layer) override {
    layer.keys = eightBits(layer.keys);
    layer.values = eightBits(layer.values);
    return {};
  }
  [[nodiscard]] std::int64_t bytes(const TokenBytes&, std::int64_t tokens) const override {
    return tokens * tokenBytes_;
  }

 private:
  std::int64_t tokenBytes_;
};

}  // namespace

Policy fp8Policy() {
  return {.name = "fp8",
          .summary = "8-bit floating point (e4m3), one scale a token of a head or of a plan's latent",
          .source = "Micikevicius et al. 2022, FP8 Formats for Deep Learning",
          .makeStorage = [](const PolicySettings&, const ModelShape& shape) -> std::unique_ptr<CacheStorage> {
            return std::make_unique<EightBits>(shape);
          }};
}

}  // namespace kvista
