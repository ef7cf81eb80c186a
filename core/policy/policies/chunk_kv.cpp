// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ops/zeros.h>

#include "core/policy/wrapped.h"

namespace kvista {

Policy chunkKvPolicy();

namespace {

/// What the tokens of a chunk are worth together, to each of them; the first of every `reuse` layers says it for all of
/// them.
class Chunks final : public WrappingScorer {
 public:
  explicit Chunks(const PolicySettings& settings)
      : WrappingScorer(chunkKvPolicy(), settings), size_(settings.count("size")), reuse_(settings.count("reuse")) {}
  [[nodiscard]] bool needsPositions() const override { return true; }  // which chunk a token is of
  Result<at::Tensor> score(const LayerView& view) override {
    const at::Tensor& positions = view.cache.positions;
    const at::Tensor chunks = positions.clamp_min(0).floor_divide(size_);
    if (view.layer % reuse_ == 0) {
      KVISTA_ASSIGN(const at::Tensor scores, innerScore(view));
      const at::Tensor shared = scores.mean(1, /*keepdim=*/true).expand_as(positions).masked_fill(positions.lt(0), 0);
      const at::Tensor none =
          at::zeros({positions.size(0), positions.size(1), view.tokens / size_ + 1}, shared.options());
      worth_ = none.scatter_add(2, chunks, shared);
    }
    return worth_.gather(2, chunks);
  }

 private:
  std::int64_t size_, reuse_;
  at::Tensor worth_;  // of each chunk, [b, kvHeads, chunks]
};

}  // namespace

Policy chunkKvPolicy() {
  return {
      .name = "chunkkv",
      .summary = "Whole chunks of neighbouring tokens, by the sum of another policy's scores",
      .source =
          "Liu et al. 2025, ChunkKV: Semantic-Preserving KV Cache Compression for Efficient Long-Context LLM Inference",
      .options = {wrappedOption("snapkv"),
                  {"size", "10", "tokens of a chunk", 1, 65536},
                  {"reuse", "1", "layers in a row that keep the same chunks", 1, 1024}},
      .makeScorer = [](const PolicySettings& settings) -> std::unique_ptr<TokenScorer> {
        return std::make_unique<Chunks>(settings);
      },
      .window = 32,
      .isAlikeInHeads = true,
      .ofWrapped = {{"reach", "0"}}};  // A chunk is neighbourhood enough: the paper sums attention as it is.
}

}  // namespace kvista
