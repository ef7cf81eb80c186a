// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/policy/attention_scores.h"
#include "core/policy/quantise.h"

namespace kvista {
namespace {

/// Drops the channels of older keys that add least to the scores of the last queries, mean q_i^2 * mean k_i^2.
class Channels final : public CacheStorage {
 public:
  Channels(const PolicySettings& settings, const ModelShape& shape)
      : kept_(std::llround(settings.number("kept") * shape.headDim)),
        queries_(settings.count("queries")),
        window_(settings.count("window")),
        shape_(shape) {}
  [[nodiscard]] std::int64_t queries() const override { return queries_; }

  Result<void> store(const LayerView& view, LiveLayer& layer) override {
    const at::Tensor older = isOlder(layer, view.tokens, window_);
    at::Tensor& stays = stays_[view.layer];
    if (!stays.defined()) {  // chosen once: what is gone does not come back
      const at::Tensor queries = meanOfGroups(layer.queries.to(at::kFloat).square().mean(2), layer.keys.size(1));
      const at::Tensor keys =
          layer.keys.to(at::kFloat).square().masked_fill(older.logical_not().unsqueeze(-1), 0).sum(2);
      stays = ranksOf(queries * keys).lt(kept_);
    }
    layer.keys = layer.keys.masked_fill(older.unsqueeze(-1).logical_and(stays.logical_not().unsqueeze(2)), 0);
    return {};
  }
  [[nodiscard]] std::int64_t bytes(const TokenBytes&, std::int64_t tokens) const override {
    if (tokens == 0) return 0;
    const std::int64_t recent = std::min(tokens, window_);
    const std::int64_t numbers = recent * shape_.headDim + (tokens - recent) * kept_ + tokens * shape_.valueHeadDim;
    return 2 * numbers + codeBytes(shape_.headDim, 1);
  }

 private:
  std::int64_t kept_, queries_, window_;
  ModelShape shape_;
  std::map<int, at::Tensor> stays_;  // bool [b, kvHeads, headDim] of each layer
};

}  // namespace

Policy thinkPolicy() {
  return {.name = "think",
          .summary = "Fewer channels of keys: those that the last queries ask for",
          .source = "Xu et al. 2024, ThinK: Thinner Key Cache by Query-Driven Pruning",
          .options = {{"kept", "0.6", "share of a key's channels", 0, 1},
                      {"queries", "32", "how many of the last queries are asked", 1, 4096},
                      {"window", "32", "last tokens that keep all channels", 0, 65536}},
          .makeStorage = [](const PolicySettings& settings, const ModelShape& shape) -> std::unique_ptr<CacheStorage> {
            return std::make_unique<Channels>(settings, shape);
          },
          .notOfLatents = "drops channels of keys, which of latents is what their ranks have done",
          .tuned = "kept",
          .choices =
              [](const ModelShape& shape) {
                std::vector<double> all;
                for (int channels = shape.headDim; channels >= 0; --channels)
                  all.push_back(static_cast<double>(channels) / shape.headDim);
                return all;
              }};
}

}  // namespace kvista
