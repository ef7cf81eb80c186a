// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/attention_scores.h"

namespace kvista {
namespace {

/// The attention that the last queries give a token, summed, and the largest of its neighbourhood: what they look at
/// now they will look at later. Their own tokens, which attend to themselves, are no neighbours of those before.
class RecentAttention final : public TokenScorer {
 public:
  RecentAttention(std::int64_t queries, std::int64_t reach) : queries_(queries), reach_(reach) {}
  [[nodiscard]] std::int64_t queries() const override { return queries_; }
  Result<at::Tensor> score(const LayerView& view) override {
    const at::Tensor attention = recentAttentionOf(view);
    return largestAround(attention.sum(2), 2 * reach_ + 1, attention.size(2));
  }

 private:
  std::int64_t queries_, reach_;
};

}  // namespace

Policy snapKvPolicy() {
  return {.name = "snapkv",
          .summary = "What the last queries look at, with its neighbours",
          .source = "Li et al. 2024, SnapKV: LLM Knows What You are Looking for Before Generation",
          .options = {{"queries", "32", "how many of the last queries are asked", 1, 4096},
                      {"reach", "3", "neighbours on each side whose largest score counts", 0, 512}},
          .makeScorer = [](const PolicySettings& settings) -> std::unique_ptr<TokenScorer> {
            return std::make_unique<RecentAttention>(settings.count("queries"), settings.count("reach"));
          },
          .window = 32};
}

}  // namespace kvista
