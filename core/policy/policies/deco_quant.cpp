// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_eigh.h>

#include <algorithm>
#include <map>

#include "core/policy/policy.h"
#include "core/policy/quantise.h"

namespace kvista {
namespace {

constexpr std::int64_t kRows = 8;     // of the small factor, at most
constexpr std::int64_t kGroup = 128;  // numbers of the large factor that share a scale

/// A head's channels as `rows` rows.
std::int64_t rowsOf(std::int64_t width) { return std::min(kRows, width & -width); }

/// A block of tokens [b, h, G, d], its channels reshaped to M [rows, G d / rows] = (U S) V^T: the small factor U S
/// keeps 16 bits and takes what sticks out with it, V^T is quantised.
at::Tensor throughFactors(const at::Tensor& block, std::int64_t bits) {
  const std::int64_t rows = rowsOf(block.size(-1)), columns = block.size(-1) / rows;
  // [b, h, rows, G columns].
  const at::Tensor matrix = block.to(at::kDouble).unflatten(-1, {rows, columns}).transpose(2, 3).flatten(3);
  const at::Tensor vectors = std::get<1>(at::linalg_eigh(matrix.matmul(matrix.transpose(2, 3))));  // U
  const at::Tensor turned = vectors.transpose(2, 3).matmul(matrix);                                // S V^T
  const at::Tensor sizes = turned.norm(2, {3}, /*keepdim=*/true).clamp_min(1e-12);                 // S
  std::vector<at::Tensor> codes;
  for (const at::Tensor& group : (turned / sizes).to(at::kFloat).split(kGroup, 3))
    codes.push_back(quantised(group, 3, bits));
  const at::Tensor small = (vectors * sizes.transpose(2, 3)).to(at::kHalf).to(at::kFloat);
  return small.matmul(at::cat(codes, 3)).unflatten(3, {-1, columns}).transpose(2, 3).flatten(3).to(block.scalar_type());
}

class Factored final : public CacheStorage {
 public:
  Factored(const PolicySettings& settings, const ModelShape& shape)
      : bits_(settings.count("bits")),
        block_(settings.count("block")),
        window_(settings.count("window")),
        shape_(shape) {}

  Result<void> store(const LayerView& view, LiveLayer& layer) override {
    std::int64_t& settled = settled_[view.layer];
    const std::int64_t stored = storedTokens(view.tokens);
    const auto changed = [&](const at::Tensor& x) {
      if (x.numel() == 0) return x;
      std::vector<at::Tensor> parts = {x.narrow(2, 0, settled)};
      for (std::int64_t begin = settled; begin < stored; begin += block_)
        parts.push_back(throughFactors(x.narrow(2, begin, block_), bits_));
      parts.push_back(x.narrow(2, stored, x.size(2) - stored));
      return at::cat(parts, 2);
    };
    layer.keys = changed(layer.keys);
    layer.values = changed(layer.values);
    settled = stored;
    return {};
  }
  [[nodiscard]] std::int64_t bytes(const TokenBytes& token, std::int64_t tokens) const override {
    const std::int64_t stored = storedTokens(tokens);
    const auto ofBlock = [&](std::int64_t width) -> std::int64_t {
      if (width == 0) return 0;
      const std::int64_t rows = rowsOf(width), columns = block_ * width / rows;
      return codeBytes(block_ * width, bits_) + rows * ((columns + kGroup - 1) / kGroup) * kScaleBytes +
             rows * rows * 2;
    };
    return stored / block_ * (ofBlock(shape_.headDim) + ofBlock(shape_.valueHeadDim)) + (tokens - stored) * token.exact;
  }

 private:
  [[nodiscard]] std::int64_t storedTokens(std::int64_t tokens) const {
    return std::max<std::int64_t>(0, tokens - window_) / block_ * block_;
  }

  std::int64_t bits_, block_, window_;
  ModelShape shape_;
  std::map<int, std::int64_t> settled_;  // tokens of each layer that are stored already
};

}  // namespace

Policy decoQuantPolicy() {
  return {.name = "decoquant",
          .summary = "Blocks of tokens as a small factor at 16 bits and a large one of few bits",
          .source =
              "Liu et al. 2024, Unlocking Data-free Low-bit Quantization with Matrix Decomposition for KV Cache "
              "Compression",
          .options = {{"bits", "4", "of a number of the large factor, at 1 to 8", 1, 8},
                      {"block", "64", "tokens of a block", 1, 65536},
                      {"window", "32", "last tokens at full precision", 0, 65536}},
          .makeStorage = [](const PolicySettings& settings, const ModelShape& shape) -> std::unique_ptr<CacheStorage> {
            return std::make_unique<Factored>(settings, shape);
          },
          .tuned = "bits",
          .choices = bitsToChoose,
          .isTokenwise = false};
}

}  // namespace kvista
