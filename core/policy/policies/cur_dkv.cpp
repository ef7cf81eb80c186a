// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>

#include "core/policy/policy.h"

namespace kvista {
namespace {

/// Approximate leverage |x_i|^2 within windows of neighbours: of a token its part of its window's sum.
at::Tensor localLeverage(const at::Tensor& rows, const at::Tensor& isHeld, std::int64_t window) {
  const at::Tensor norms = rows.to(at::kFloat).square().sum(-1).masked_fill(isHeld.logical_not(), 0);
  const std::int64_t places = norms.size(-1), missing = (window - places % window) % window;
  const at::Tensor windows = at::constant_pad_nd(norms, {0, missing}).unflatten(-1, {-1, window});
  return (windows / windows.sum(-1, /*keepdim=*/true).clamp_min(1e-20)).flatten(-2).narrow(-1, 0, places);
}

class Leverage final : public TokenScorer {
 public:
  explicit Leverage(std::int64_t neighbours) : neighbours_(neighbours) {}
  Result<at::Tensor> score(const LayerView& view) override {
    const at::Tensor isHeld = view.cache.positions.ge(0);
    return localLeverage(view.cache.keys, isHeld, neighbours_) * localLeverage(view.cache.values, isHeld, neighbours_);
  }

 private:
  std::int64_t neighbours_;
};

}  // namespace

Policy curDkvPolicy() {
  return {.name = "curdkv",
          .summary = "Tokens whose keys and values have much leverage: |k|^2 |v|^2",
          .source = "Sengupta et al. 2025, Value-Guided KV Compression for LLMs via Approximated CUR Decomposition",
          .options = {{"neighbours", "16", "tokens among which leverage is shared out", 1, 65536}},
          .makeScorer = [](const PolicySettings& settings) -> std::unique_ptr<TokenScorer> {
            return std::make_unique<Leverage>(settings.count("neighbours"));
          },
          .sinks = 4,
          .window = 32};
}

}  // namespace kvista
