// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/compress/plan_transform.h"
#include "core/model/operators.h"
#include "core/policy/attention_scores.h"
#include "core/policy/named_policies.h"
#include "core/policy/policy.h"
#include "core/policy/quantise.h"

namespace kvista {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRidge = 1e-12;   // of directions that rebuild nothing, in parts of the mean energy
constexpr double kMostOff = 0.02;  // of what a layer caches, where its latent is told from that

/// What adjacent layers have in one space and can share: the latent of a plan, or else what they cache.
class Common {
 public:
  /// `backs`: of each layer, what makes latents of what was rebuilt from them; kept by the caller, at first empty.
  Common(const Decoder& decoder, const PlanTransform* transform, const LiveCache& cache, std::vector<at::Tensor>& backs)
      : decoder_(decoder), transform_(transform), cache_(cache), backs_(backs) {
    backs_.resize(cache.layers.size());
    if (transform != nullptr && std::ranges::all_of(transform->plan().groups, &Group::isUncompressed))
      transform_ = nullptr;
    const at::Tensor& positions = cache.layers.front().positions;
    places_ = positions[0][0];
    length_ = std::max(cache.sequenceLength, cache.tokens);
  }

  [[nodiscard]] bool isOfLatents() const { return transform_ != nullptr; }
  /// [b, s, n].
  [[nodiscard]] at::Tensor of(int layer) const {
    const LiveLayer& held = cache_.layers[static_cast<std::size_t>(layer)];
    const auto flat = [](const at::Tensor& heads) { return heads.transpose(1, 2).flatten(2); };
    const GroupFactors* factors = factorsOf(layer);
    if (factors == nullptr) return at::cat({flat(held.keys), flat(held.values)}, 2).to(at::kFloat);
    const std::optional<int> rope = decoder_.description().layers[static_cast<std::size_t>(layer)].attention.rope;
    at::Tensor keys = held.keys.transpose(1, 2);
    if (rope) {  // turned back
      const RopeDescription& how = decoder_.description().ropes[static_cast<std::size_t>(*rope)];
      RotaryTable back = rotaryTable(how, places_, length_);
      back.sine = -back.sine;
      const double factor = how.attentionFactor * how.attentionFactor;
      back.cosine = back.cosine / factor;
      back.sine = back.sine / factor;
      keys = rotate(keys, back);
    }
    const auto withoutBias = [](const at::Tensor& outputs, const at::Tensor& bias) {
      return bias.defined() ? outputs - bias : outputs;
    };
    const at::Tensor outputs = at::cat({withoutBias(keys.flatten(2), decoder_.keyBias(layer)),
                                        withoutBias(flat(held.values), decoder_.valueBias(layer))},
                                       2);
    return at::matmul(outputs.to(at::kFloat), backOf(layer, factors->up).t());
  }

  /// What a layer would read of that: keys and values as LiveLayer has them.
  [[nodiscard]] KeyValues read(int layer, const at::Tensor& common) const {
    const ModelShape& shape = decoder_.shape();
    const auto heads = [&](const at::Tensor& rows, int width) {
      return rows.unflatten(2, {shape.kvHeads, width}).transpose(1, 2);
    };
    const GroupFactors* factors = factorsOf(layer);
    const at::Tensor outputs =
        (factors != nullptr ? rebuiltFrom(common, *factors) : common).to(cache_.layers.front().keys.scalar_type());
    at::Tensor keys = outputs.narrow(2, 0, shape.keyWidth()),
               values = outputs.narrow(2, shape.keyWidth(), shape.valueWidth());
    if (factors == nullptr) return {heads(keys, shape.headDim), heads(values, shape.valueHeadDim)};
    if (const at::Tensor bias = decoder_.keyBias(layer); bias.defined()) keys = keys + bias;
    if (const at::Tensor bias = decoder_.valueBias(layer); bias.defined()) values = values + bias;
    const at::Tensor turned = decoder_.rotateKeys(layer, keys.flatten(0, 1), places_.repeat({keys.size(0)}), length_);
    return {turned.unflatten(0, {keys.size(0), keys.size(1)}).transpose(1, 2), heads(values, shape.valueHeadDim)};
  }

 private:
  /// What is held was rebuilt as y = B z, so that z = (B^T B)^-1 B^T y whatever the latent was made of; [r, n].
  [[nodiscard]] const at::Tensor& backOf(int layer, const at::Tensor& up) const {
    at::Tensor& back = backs_[static_cast<std::size_t>(layer)];
    if (back.defined()) return back;
    const at::Tensor wide = up.to(at::kDouble), square = at::matmul(wide.t(), wide);
    const at::Tensor ridge =
        square.diagonal().mean().clamp_min(1e-30) * kRidge * at::eye(square.size(0), square.options());
    back = at::linalg_solve(square + ridge, wide.t(), /*left=*/true).to(at::kFloat);
    return back;
  }
  [[nodiscard]] const GroupFactors* factorsOf(int layer) const {
    if (transform_ == nullptr) return nullptr;
    const GroupFactors& factors = transform_->factors()[static_cast<std::size_t>(layer)];
    return factors.isIdentity() ? nullptr : &factors;
  }

  const Decoder& decoder_;
  const PlanTransform* transform_;
  const LiveCache& cache_;
  std::vector<at::Tensor>& backs_;
  at::Tensor places_;  // int64 [s]
  std::int64_t length_;
};

at::Tensor cosine(const at::Tensor& a, const at::Tensor& b) {
  const auto length = [](const at::Tensor& x) { return x.square().sum(-1).sqrt(); };
  return (a * b).sum(-1) / (length(a) * length(b)).clamp_min(1e-20);
}

/// The tokens of a group of layers that are alike in its first and last one are held once for all of them, as the mean.
/// Once merged, a token stays so.
class Merging final : public CacheStorage {
 public:
  Merging(const PolicySettings& settings, const ModelShape& shape)
      : merged_(settings.number("merged")),
        together_(settings.count("layers")),
        sinks_(settings.count("sinks")),
        window_(settings.count("window")),
        groups_(shape.layers / together_) {}

  Result<void> prepare(const Decoder& decoder, const PlanTransform* transform, const LiveCache& cache) override {
    const Common common(decoder, transform, cache, backs_);
    if (!isMerged_.defined()) KVISTA_CHECK(check(decoder.shape(), transform, common, cache));
    const std::int64_t batch = cache.layers.front().keys.size(0),
                       first = sinksOver(transform != nullptr ? transform->plan().exactTokens : 0);
    const auto layerOf = [&](std::int64_t group, std::int64_t which) {
      return static_cast<int>(group * together_ + which);
    };
    std::vector<at::Tensor> alike;
    for (std::int64_t group = 0; group < groups_; ++group)
      alike.push_back(cosine(common.of(layerOf(group, 0)), common.of(layerOf(group, together_ - 1))));
    const at::Tensor place = at::arange(cache.tokens, at::TensorOptions(at::kLong).device(alike.front().device()));
    const at::Tensor fresh = at::zeros({batch, groups_, cache.tokens - (isMerged_.defined() ? isMerged_.size(2) : 0)},
                                       place.options().dtype(at::kBool));
    isMerged_ = isMerged_.defined() ? at::cat({isMerged_, fresh}, 2) : fresh;
    const at::Tensor goes =
        place.ge(first).logical_and(place.lt(cache.tokens - window_)).logical_and(isMerged_.logical_not());
    const at::Tensor scores = at::stack(alike, 1).masked_fill(goes.logical_not(), -kInfinity).flatten(1);
    const std::int64_t all = mergedOf(cache.tokens, first);
    const at::Tensor chosen = ranksOf(scores).lt(all - mergedSoFar_).view_as(isMerged_);
    mergedSoFar_ = all;
    isMerged_ = isMerged_.logical_or(chosen);
    changed_.clear();
    for (std::int64_t group = 0; group < groups_; ++group) {
      at::Tensor sum = common.of(layerOf(group, 0));
      for (std::int64_t which = 1; which < together_; ++which) sum = sum + common.of(layerOf(group, which));
      const at::Tensor where = chosen.select(1, group).unsqueeze(1);
      for (std::int64_t which = 0; which < together_; ++which) {
        const KeyValues shared = common.read(layerOf(group, which), sum / static_cast<double>(together_));
        const LiveLayer& held = cache.layers[static_cast<std::size_t>(layerOf(group, which))];
        changed_.push_back({replacedWhere(where.expand_as(held.positions), shared.keys, held.keys),
                            replacedWhere(where.expand_as(held.positions), shared.values, held.values)});
      }
    }
    return {};
  }
  Result<void> store(const LayerView& view, LiveLayer& layer) override {
    if (static_cast<std::size_t>(view.layer) >= changed_.size()) return {};  // left over when layers were grouped
    KeyValues& changed = changed_[static_cast<std::size_t>(view.layer)];
    layer.keys = std::move(changed.keys);
    layer.values = std::move(changed.values);
    return {};
  }
  /// Which group a merge falls to depends on the sequence, what it saves does not: they are counted as if spread
  /// evenly.
  [[nodiscard]] std::int64_t bytes(const TokenBytes& token, std::int64_t tokens) const override {
    const std::int64_t own = token.ofTokens(tokens);
    const std::int64_t group = token.layer / together_, sinks = sinksOver(token.exactTokens);
    if (group >= groups_) return own;
    if (token.layer % together_ > 0) {
      const std::int64_t all = mergedOf(tokens, sinks);
      return own - (all / groups_ + (group < all % groups_ ? 1 : 0)) * token.stored;
    }
    const bool isAsked = token.unit == 0 && merged_ > 0 && merged_ < 1;  // which tokens are merged: a bit each
    return own + (isAsked ? codeBytes(older(tokens, sinks), 1) : 0);
  }

 private:
  [[nodiscard]] std::int64_t sinksOver(std::int64_t exactTokens) const { return std::max(sinks_, exactTokens); }
  [[nodiscard]] std::int64_t older(std::int64_t tokens, std::int64_t sinks) const {
    return std::max<std::int64_t>(0, tokens - sinks - window_);
  }
  /// Over all groups.
  [[nodiscard]] std::int64_t mergedOf(std::int64_t tokens, std::int64_t sinks) const {
    return std::llround(merged_ * static_cast<double>(groups_ * older(tokens, sinks)));
  }

  [[nodiscard]] Result<void> check(const ModelShape& shape, const PlanTransform* transform, const Common& common,
                                   const LiveCache& cache) const {
    const CompressionPlan* stored = transform != nullptr ? &transform->plan() : nullptr;
    KVISTA_CHECK(checkMergesLayers(together_, stored, shape));
    if (!common.isOfLatents()) return {};
    const std::int64_t first = std::min<std::int64_t>(stored->exactTokens, cache.tokens - 1);
    for (int layer = 0; layer < shape.layers; ++layer) {
      const at::Tensor held = cache.layers[static_cast<std::size_t>(layer)].keys,
                       again = common.read(layer, common.of(layer)).keys;
      const auto behind = [&](const at::Tensor& x) { return x.narrow(2, first, x.size(2) - first).to(at::kFloat); };
      const double off =
          (behind(again) - behind(held)).norm().item<double>() / std::max(behind(held).norm().item<double>(), 1e-20);
      if (!(off < kMostOff))
        return fail(
            ErrorCode::invalidArgument,
            fmt::format("The latents of layer {} cannot be told from what it caches: keys would be off by {:.1f} %.",
                        layer, 100 * off),
            "Latents cannot be merged in models that normalise or clip their keys.");
    }
    return {};
  }

  double merged_;
  std::int64_t together_, sinks_, window_, groups_;
  at::Tensor isMerged_;  // bool [b, groups, tokens]
  std::int64_t mergedSoFar_ = 0;
  std::vector<at::Tensor> backs_;
  std::vector<KeyValues> changed_;  // what the policy makes of each layer of a group
};

}  // namespace

Policy commonKvPolicy() {
  return {.name = "commonkv",
          .summary = "Tokens that are alike in adjacent layers are held once for all of these",
          .source = "Wang et al. 2025, CommonKV: Compressing KV Cache with Cross-layer Parameter Sharing",
          .options = {{"merged", "0.6", "share of the older tokens of all groups of layers that are merged", 0, 1},
                      {"layers", "4", "adjacent layers of a group", 2, 1024},
                      {"sinks", "4", "first tokens that each layer keeps for itself", 0, 65536},
                      {"window", "128", "last tokens that each layer keeps for itself", 0, 65536}},
          .makeStorage = [](const PolicySettings& settings, const ModelShape& shape) -> std::unique_ptr<CacheStorage> {
            return std::make_unique<Merging>(settings, shape);
          },
          .tuned = "merged",
          .choices =
              [](const ModelShape&) {
                std::vector<double> all;
                for (int percent = 0; percent <= 100; ++percent) all.push_back(percent / 100.0);
                return all;
              },
          .isTokenwise = false,
          .takesPlan = true};
}

}  // namespace kvista
