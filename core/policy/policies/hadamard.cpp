// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

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

/// `x` times the symmetric matrix that has Hadamard's on its diagonal, one for each power of 2 that adds up to the
/// width: its own inverse.
at::Tensor rotated(const at::Tensor& x) {
  std::vector<at::Tensor> blocks;
  for (std::int64_t begin = 0; begin < x.size(-1);) {
    const auto size = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(x.size(-1) - begin)));
    blocks.push_back(x.narrow(-1, begin, size).matmul(sylvester(size).to(x.device())));
    begin += size;
  }
  return blocks.empty() ? x : at::cat(blocks, -1);
}

/// Codes of the rotated numbers, over which what sticks out is spread.
at::Tensor rotatedAndQuantised(const at::Tensor& x, std::int64_t bits) {
  return rotated(quantised(rotated(x), -1, bits));
}

/// As many signs as a latent has directions, by a fair coin that falls alike each time: directions are ordered by size,
/// and nothing of this order shall be left in their sums (a randomised Hadamard transform).
at::Tensor coinSigns(std::int64_t count, at::Device device) {
  std::mt19937 coin(1);
  std::vector<float> signs(static_cast<std::size_t>(count));
  for (float& sign : signs) sign = (coin() & 1U) != 0 ? 1.0F : -1.0F;
  return at::tensor(signs).to(device);
}

class Rotated final : public CacheStorage {
 public:
  Rotated(std::int64_t bits, const ModelShape& shape)
      : bits_(bits),
        tokenBytes_(codeBytes(shape.headDim, bits) + codeBytes(shape.valueHeadDim, bits) +
                    sidesOf(shape) * kScaleBytes) {}
  Result<void> store(const LayerView& view, LiveLayer& layer) override {
    const auto through = [&](const at::Tensor& x) {
      const at::Tensor wide = x.to(at::kFloat);
      if (view.group == nullptr) return rotatedAndQuantised(wide, bits_).to(x.scalar_type());
      const at::Tensor signs = coinSigns(x.size(-1), x.device());
      return (rotatedAndQuantised(wide * signs, bits_) * signs).to(x.scalar_type());
    };
    layer.keys = through(layer.keys);
    layer.values = through(layer.values);
    return {};
  }
  [[nodiscard]] std::int64_t bytes(const TokenBytes&, std::int64_t tokens) const override {
    return tokens * tokenBytes_;
  }

 private:
  std::int64_t bits_, tokenBytes_;
};

}  // namespace

Policy hadamardPolicy() {
  return {.name = "hadamard",
          .summary = "Heads, or a plan's latents, rotated by Hadamard's matrix, then quantised token by token",
          .source =
              "Chang et al. 2024, Palu: Compressing KV-Cache with Low-Rank Projection, section 3.4; Ashkboos et al. "
              "2024, QuaRot",
          .options = {{"bits", "4", "of a number, at 1 to 8", 1, 8}},
          .makeStorage = [](const PolicySettings& settings, const ModelShape& shape) -> std::unique_ptr<CacheStorage> {
            return std::make_unique<Rotated>(settings.count("bits"), shape);
          },
          .tuned = "bits",
          .choices = bitsToChoose};
}

}  // namespace kvista
