// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>

#include "core/policy/policy.h"
#include "core/policy/quantise.h"

namespace kvista {
namespace {

/// The orthonormal Hadamard matrix of Sylvester's construction, [n, n]; n a power of 2.
at::Tensor sylvester(std::int64_t n) {
  at::Tensor matrix = at::ones({1, 1});
  for (std::int64_t size = 1; size < n; size *= 2)
    matrix = at::cat({at::cat({matrix, matrix}, 1), at::cat({matrix, matrix.neg()}, 1)}, 0);
  return matrix / std::sqrt(static_cast<double>(n));
}

/// Heads of another width than a power of 2 are rotated in blocks of the largest one that divides it.
std::int64_t rotatedWidth(std::int64_t width) { return width & -width; }

/// Codes of the rotated head, which spreads what sticks out over all its numbers.
at::Tensor rotatedAndQuantised(const at::Tensor& x, std::int64_t bits) {
  const std::int64_t block = rotatedWidth(x.size(-1));
  const at::Tensor rotation = sylvester(block).to(x.device());
  const at::Tensor blocks = x.to(at::kFloat).unflatten(-1, {-1, block});
  const at::Tensor codes = quantised(blocks.matmul(rotation).flatten(-2), -1, bits);
  return codes.unflatten(-1, {-1, block}).matmul(rotation).flatten(-2).to(x.scalar_type());  // it is its own inverse
}

class Rotated final : public CacheStorage {
 public:
  Rotated(std::int64_t bits, const ModelShape& shape)
      : bits_(bits), tokenBytes_(codeBytes(shape.headDim, bits) + codeBytes(shape.valueHeadDim, bits) + 2 * kScaleBytes) {}
  Result<void> store(const LayerView&, LiveLayer& layer) override {
    layer.keys = rotatedAndQuantised(layer.keys, bits_);
    layer.values = rotatedAndQuantised(layer.values, bits_);
    return {};
  }
  [[nodiscard]] std::int64_t bytes(const TokenBytes&, std::int64_t tokens) const override { return tokens * tokenBytes_; }

 private:
  std::int64_t bits_, tokenBytes_;
};

}  // namespace

Policy hadamardPolicy() {
  return {.name = "hadamard",
          .summary = "Heads rotated by Hadamard's matrix, then quantised token by token",
          .source = "Chang et al. 2024, Palu: Compressing KV-Cache with Low-Rank Projection, section 3.4; Ashkboos et al. 2024, QuaRot",
          .options = {{"bits", "4", "of a number, at 1 to 8", 1, 8}},
          .makeStorage = [](const PolicySettings& settings, const ModelShape& shape) -> std::unique_ptr<CacheStorage> {
            return std::make_unique<Rotated>(settings.count("bits"), shape);
          },
          .tuned = "bits",
          .choices = [](const ModelShape&) { return std::vector<double>{8, 4, 3, 2}; }};
}

}  // namespace kvista
