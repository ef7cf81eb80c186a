// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ops/zeros.h>

#include "core/policy/wrapped.h"

namespace kvista {
namespace {

/// What the tokens of a chunk are worth together, to each of them; the first of every `reuse` layers says it for all of them.
class Chunks final : public TokenScorer {
 public:
  Chunks(std::unique_ptr<TokenScorer> inner, std::int64_t size, std::int64_t reuse)
      : inner_(std::move(inner)), size_(size), reuse_(reuse) {}
  [[nodiscard]] std::int64_t queries() const override { return inner_->queries(); }
  [[nodiscard]] bool needsPositions() const override { return true; }  // which chunk a token is of
  Result<void> begin(const Decoder& decoder, const PolicyRequest& request, std::int64_t tokens) override {
    return inner_->begin(decoder, request, tokens);
  }
  Result<void> prepare(const Decoder& decoder, const LiveCache& cache, const at::Tensor& ids, const Task& task) override {
    return inner_->prepare(decoder, cache, ids, task);
  }
  Result<at::Tensor> score(const LayerView& view) override {
    const at::Tensor& positions = view.cache.positions;
    const at::Tensor chunks = positions.clamp_min(0).floor_divide(size_);
    if (view.layer % reuse_ == 0) {
      KVISTA_ASSIGN(const at::Tensor scores, inner_->score(view));
      const at::Tensor shared = scores.mean(1, /*keepdim=*/true).expand_as(positions).masked_fill(positions.lt(0), 0);
      const at::Tensor none = at::zeros({positions.size(0), positions.size(1), view.tokens / size_ + 1}, shared.options());
      worth_ = none.scatter_add(2, chunks, shared);
    }
    return worth_.gather(2, chunks);
  }

 private:
  std::unique_ptr<TokenScorer> inner_;
  std::int64_t size_, reuse_;
  at::Tensor worth_;  // of each chunk, [b, kvHeads, chunks]
};

}  // namespace

Policy chunkKvPolicy() {
  return {.name = "chunkkv",
          .summary = "Whole chunks of neighbouring tokens, by the sum of another policy's scores",
          .source = "Liu et al. 2025, ChunkKV: Semantic-Preserving KV Cache Compression for Efficient Long-Context LLM Inference",
          .options = {wrappedOption("snapkv"),
                      {"size", "10", "tokens of a chunk", 1, 65536},
                      {"reuse", "1", "layers in a row that keep the same chunks", 1, 1024}},
          .makeScorer = [](const PolicySettings& settings) -> std::unique_ptr<TokenScorer> {
            return std::make_unique<Chunks>(wrappedScorer(settings), settings.count("size"), settings.count("reuse"));
          },
          .window = 32,
          .isAlikeInHeads = true};
}

}  // namespace kvista
