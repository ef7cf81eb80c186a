// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>

#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#include "core/model/operators.h"

namespace kvista {

namespace {

at::Tensor gated(const FeedForwardDescription& description, const at::Tensor& gateValues, const at::Tensor& up) {
  if (!description.clampedGate) return gate(description.activation, gateValues, up);
  const auto& [slope, limit] = *description.clampedGate;
  const at::Tensor low = gateValues.clamp_max(limit);
  return low * at::sigmoid(low * slope) * (up.clamp(-limit, limit) + 1);
}

at::Tensor mlp(const FeedForwardDescription& whole, const MlpDescription& description, const MlpWeights& weights,
               const at::Tensor& input) {
  const at::Tensor up = linear(input, weights.up);
  return linear(description.gate ? gated(whole, linear(input, weights.gate), up) : activate(whole.activation, up),
                weights.down);
}

/// Of each row of `input` the experts it goes to and what their answers count, both [rows, perToken].
struct Choice {
  at::Tensor weights, experts;
};

Choice choose(const RouterDescription& router, const LayerWeights& weights, const at::Tensor& input) {
  const at::Tensor logits = linear(input, weights.router);
  const at::Tensor counting =
      router.isSigmoid ? at::sigmoid(logits.to(at::kFloat)) : at::softmax(logits, -1, at::kFloat);
  at::Tensor open = weights.routerCorrection.defined() ? counting + weights.routerCorrection : counting;
  if (router.chosenGroups < router.groups) {
    const at::Tensor grouped = open.unflatten(-1, {router.groups, -1});
    const at::Tensor sums = std::get<0>(grouped.topk(router.groupBest, -1)).sum(-1);
    const at::Tensor best = std::get<1>(sums.topk(router.chosenGroups, -1));
    const at::Tensor isShut = at::ones_like(sums, at::kBool).scatter(-1, best, 0).unsqueeze(-1);
    open = grouped.masked_fill(isShut, -std::numeric_limits<double>::infinity()).flatten(-2);
  }
  const at::Tensor experts = std::get<1>(open.topk(router.perToken, -1));
  at::Tensor chosen = counting.gather(-1, experts);
  if (router.renormalises) chosen = chosen / chosen.sum(-1, /*keepdim=*/true);
  return {(chosen * router.scale).to(input.scalar_type()), experts};
}

/// Rows are put in the order of their experts, so that each expert sees all of its rows at once.
at::Tensor mixture(const FeedForwardDescription& description, const LayerWeights& weights, const at::Tensor& input) {
  const RouterDescription& router = *description.router;
  const at::Tensor rows = input.flatten(0, -2);
  const Choice choice = choose(router, weights, rows);
  const at::Tensor experts = choice.experts.flatten();
  const at::Tensor order = at::argsort(experts, /*stable=*/true, 0, /*descending=*/false);
  const at::Tensor rowOf = at::floor_divide(order, router.perToken);
  const at::Tensor counts = at::bincount(experts, {}, static_cast<std::int64_t>(description.experts.size())).cpu();

  const at::Tensor sorted = rows.index_select(0, rowOf);
  std::vector<at::Tensor> answers;
  std::int64_t begin = 0;
  for (std::size_t expert = 0; expert < description.experts.size(); ++expert) {
    const auto count = counts.const_data_ptr<std::int64_t>()[expert];
    if (count == 0) continue;
    answers.push_back(
        mlp(description, description.experts[expert], weights.experts[expert], sorted.narrow(0, begin, count)));
    begin += count;
  }
  const at::Tensor weighted = at::cat(answers) * choice.weights.flatten().index_select(0, order).unsqueeze(-1);
  return at::index_add(at::zeros_like(rows), 0, rowOf, weighted).view(input.sizes());
}

}  // namespace

at::Tensor feedForward(const FeedForwardDescription& description, const LayerWeights& weights,
                       const at::Tensor& input) {
  at::Tensor output = description.router
                          ? mixture(description, weights, input)
                          : mlp(description, description.experts.front(), weights.experts.front(), input);
  if (!description.shared) return output;
  const at::Tensor shared = mlp(description, *description.shared, weights.shared, input);
  return output + (description.sharedGate ? shared * at::sigmoid(linear(input, weights.sharedGate)) : shared);
}

}  // namespace kvista
