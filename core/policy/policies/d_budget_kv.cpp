// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>

#include "core/policy/attention_scores.h"
#include "core/policy/wrapped.h"

namespace kvista {

Policy dBudgetKvPolicy();

namespace {

/// Another policy's scores, of which only the highest count: as many as hold the norm of what the last queries give to
/// all tokens, |A_kept|_F >= (1 - loss) |A|_F, the first and last tokens counted in. The others go whatever the budget.
class StoppingRule final : public WrappingScorer {
 public:
  explicit StoppingRule(const PolicySettings& settings)
      : WrappingScorer(dBudgetKvPolicy(), settings),
        loss_(settings.number("loss")),
        sinks_(settings.count("sinks")),
        window_(settings.count("window")) {}
  [[nodiscard]] std::int64_t queries() const override { return std::max<std::int64_t>(1, WrappingScorer::queries()); }
  Result<at::Tensor> score(const LayerView& view) override {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    KVISTA_ASSIGN(const at::Tensor scores, innerScore(view));
    const at::Tensor& positions = view.cache.positions;
    const at::Tensor ranked =
        scores.masked_fill(positions.lt(sinks_).logical_or(positions.ge(view.tokens - window_)), kInfinity)
            .masked_fill(positions.lt(0), -kInfinity);
    const at::Tensor energies = recentAttentionOf(view).to(at::kDouble).square().sum(2);
    const at::Tensor ranks = ranksOf(ranked);
    const at::Tensor inOrder = at::zeros_like(energies).scatter(-1, ranks, energies);
    const at::Tensor kept = inOrder.cumsum(-1);
    // Needed: a token before which too little is kept.
    const at::Tensor enough = (1 - loss_) * (1 - loss_) * inOrder.sum(-1, /*keepdim=*/true);
    const at::Tensor isNeeded = (kept - inOrder).lt(enough).gather(-1, ranks);
    return scores.masked_fill(isNeeded.logical_not(), -kInfinity);
  }

 private:
  double loss_;
  std::int64_t sinks_, window_;
};

}  // namespace

Policy dBudgetKvPolicy() {
  return {
      .name = "dbudgetkv",
      .summary = "As few tokens as hold 99 % of the attention's norm, by another policy's scores",
      .source = "Ni et al. 2025, DBudgetKV: Dynamic Budget in KV Cache Compression for Ensuring Optimal Performance",
      .options = {wrappedOption("snapkv"), {"loss", "0.01", "how much of the attention's norm may be lost", 0, 1}},
      .makeScorer = [](const PolicySettings& settings) -> std::unique_ptr<TokenScorer> {
        return std::make_unique<StoppingRule>(settings);
      },
      .sinks = 4,
      .window = 32,
      .dropsByItself = true};
}

}  // namespace kvista
