// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "core/plan/plan.h"
#include "core/policy/attention_scores.h"
#include "core/policy/quantise.h"

namespace kvista {
namespace {

/// What the last queries give a token, divided by how many of them see it: [b, heads, s]. Of a latent, the mean over
/// its group's heads.
at::Tensor normalisedAttention(const LayerView& view) {
  at::Tensor attention = recentAttentionOf(view.whole != nullptr ? *view.whole : view);
  if (view.group != nullptr) {
    std::set<std::int64_t> heads;
    for (const Slot& slot : view.group->slots)
      if (slot.layer == view.layer) heads.insert(slot.head);
    const std::vector<std::int64_t> own(heads.begin(), heads.end());
    const std::int64_t places = view.cache.places();
    attention = attention.index_select(1, at::tensor(own, at::kLong).to(attention.device())).mean(1, /*keepdim=*/true);
    attention = attention.narrow(3, attention.size(3) - places, places);
  }
  return attention.sum(2) / attention.gt(0).sum(2).clamp_min(1);
}

/// Salient tokens get more bits. Channels are divided by the root of their largest number first, so that one scale a
/// token does.
class Salience final : public CacheStorage {
 public:
  Salience(const PolicySettings& settings, const ModelShape& shape)
      : salient_(settings.number("salient")),
        high_(settings.count("high")),
        low_(settings.count("low")),
        queries_(settings.count("queries")),
        shape_(shape) {}
  [[nodiscard]] std::int64_t queries() const override { return queries_; }

  Result<void> store(const LayerView& view, LiveLayer& layer) override {
    const at::Tensor isHeld = layer.positions.ge(0);
    const at::Tensor scores = normalisedAttention(view).masked_fill(isHeld.logical_not(), -1);
    const at::Tensor held = isHeld.sum(2, /*keepdim=*/true);  // each head's own tokens
    const at::Tensor salient = (held.to(at::kDouble) * salient_ + 0.5).floor();
    const at::Tensor isSalient = ranksOf(scores).lt(salient);
    Channels& channels = channels_[view.layer];
    const auto through = [&](const at::Tensor& x, at::Tensor& factors) {
      if (x.numel() == 0) return x;
      // As they are when it first acts: a factor that changed would change codes that are stored already.
      if (!factors.defined()) {
        const at::Tensor largest =
            x.to(at::kFloat).abs().masked_fill(isHeld.logical_not().unsqueeze(-1), 0).amax({2}, true);
        factors = largest.sqrt().to(at::kHalf).to(at::kFloat).clamp_min(6e-8);
      }
      const at::Tensor even = x.to(at::kFloat) / factors;
      return (replacedWhere(isSalient, quantised(even, -1, high_), quantised(even, -1, low_)) * factors)
          .to(x.scalar_type());
    };
    layer.keys = through(layer.keys, channels.keys);
    layer.values = through(layer.values, channels.values);
    return {};
  }
  [[nodiscard]] std::int64_t bytes(const TokenBytes&, std::int64_t tokens) const override {
    if (tokens == 0) return 0;
    const auto codes = [&](std::int64_t bits) {
      return codeBytes(shape_.headDim, bits) + codeBytes(shape_.valueHeadDim, bits);
    };
    const std::int64_t salient = salientOf(tokens);
    return salient * codes(high_) + (tokens - salient) * codes(low_) + tokens * sidesOf(shape_) * kScaleBytes +
           codeBytes(tokens, 1) + 2 * (shape_.headDim + shape_.valueHeadDim);
  }

 private:
  struct Channels {
    at::Tensor keys, values;
  };
  [[nodiscard]] std::int64_t salientOf(std::int64_t tokens) const {
    return static_cast<std::int64_t>(std::floor(salient_ * static_cast<double>(tokens) + 0.5));
  }

  double salient_;
  std::int64_t high_, low_, queries_;
  ModelShape shape_;
  std::map<int, Channels> channels_;
};

}  // namespace

Policy zipCachePolicy() {
  return {
      .name = "zipcache",
      .summary = "Tokens that get much attention at 4 bits, the others at 2",
      .source =
          "He et al. 2024, ZipCache: Accurate and Efficient KV Cache Quantization with Salient Token Identification",
      .options = {{"salient", "0.6", "share of the tokens at more bits", 0, 1},
                  {"high", "4", "bits of a salient token's numbers", 1, 8},
                  {"low", "2", "bits of the others'", 1, 8},
                  {"queries", "64", "how many of the last queries say what is salient", 1, 4096}},
      .makeStorage = [](const PolicySettings& settings, const ModelShape& shape) -> std::unique_ptr<CacheStorage> {
        return std::make_unique<Salience>(settings, shape);
      },
      .tuned = "salient",
      .choices =
          [](const ModelShape&) {
            std::vector<double> all;
            for (int percent = 100; percent >= 0; --percent) all.push_back(percent / 100.0);
            return all;
          }};
}

}  // namespace kvista
