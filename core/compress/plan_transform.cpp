// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/plan_transform.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <numeric>

#include "core/compress/latent_sequence.h"

namespace kvista {

PlanTransform::PlanTransform(const CompressionPlan& plan, const PlanFactors& factors, const ModelShape& shape,
                             at::Device device, LatentChange change)
    : plan_(plan),
      factors_(factors),
      shape_(shape),
      device_(device),
      change_(std::move(change)),
      exactTokens_(plan.exactTokens),
      layers_(static_cast<std::size_t>(shape.layers)),
      waiting_(predictsLayers(plan) ? static_cast<std::size_t>(shape.layers) : plan.sharedFrom.size()) {
  if (plan.storage == Storage::plainQuantised) {
    plain_.emplace(plan, shape, device);
    return;
  }
  for (std::size_t i = 0; i < factors.size(); ++i) {
    if (factors[i].isIdentity() && !change_) continue;
    const Group& group = plan.groups[i];
    if (!storesDirections(plan, group.slots.front().layer)) continue;
    for (const auto& [name, tensor] : kFactorTensors)
      if ((factors[i].*tensor).defined()) factors_[i].*tensor = (factors[i].*tensor).to(device);
    Step step;
    step.group = i;
    step.factors = factors_[i];
    if (plan.keyPosition == KeyPosition::afterRope && group.slots.front().side == Side::key) {
      step.rotatedHead = group.slots.front().head;
    } else {
      std::vector<std::int64_t> columns;
      for (const Slot& slot : group.slots) {
        const int width = slotWidth(slot, shape);
        const std::int64_t begin = (slot.side == Side::key ? 0 : shape.keyWidth()) + std::int64_t{slot.head} * width;
        for (int c = 0; c < width; ++c) columns.push_back(begin + c);
      }
      std::vector<std::int64_t> inOrder(static_cast<std::size_t>(shape.cacheWidth()));
      std::iota(inOrder.begin(), inOrder.end(), 0);
      if (columns != inOrder) step.columns = at::tensor(columns, at::kLong).to(device);
    }
    layers_[static_cast<std::size_t>(group.slots.front().layer)].push_back(std::move(step));
  }
}

std::unique_ptr<SequenceStore> PlanTransform::makeStore(const Decoder& decoder) const {
  if (plain_ || !waiting_.empty()) return nullptr;
  return std::make_unique<LatentSequence>(plan_, factors_, decoder);
}

at::Tensor PlanTransform::throughLatent(const Step& step, const at::Tensor& read) const {
  if (step.factors.isIdentity()) return change_(step.group, read);
  const at::Tensor latents = codeAndDecode(latentOf(read, step.factors), step.factors);
  return rebuiltFrom(change_ ? change_(step.group, latents) : latents, step.factors);
}

at::Tensor PlanTransform::keepExact(const at::Tensor& changed, const at::Tensor& original,
                                    std::int64_t tokenDimension) const {
  const std::int64_t exact = std::min<std::int64_t>(exactTokens_, original.size(tokenDimension));
  if (exact == 0) return changed;
  return at::cat({original.narrow(tokenDimension, 0, exact),
                  changed.narrow(tokenDimension, exact, changed.size(tokenDimension) - exact)},
                 tokenDimension);
}

void PlanTransform::beginPass() const {
  for (auto& left : waiting_) left.clear();
}

KeyValues PlanTransform::beforeRope(int layer, KeyValues raw) const {
  if (plain_) return plain_->quantise(layer, raw);
  if (waiting_.empty()) return throughCache(layer, raw, std::nullopt);
  std::optional<KeyValues> before;
  if (readsAnotherLayer(plan_, layer) || predictedFrom(plan_, layer)) {
    auto& own = waiting_[static_cast<std::size_t>(layer)];
    TORCH_CHECK(!own.empty(), "layer ", layer, " needs the cache of a layer that the pass has not been through");
    before = own.front();
    if (!followsGradients_) own.pop_front();
    if (readsAnotherLayer(plan_, layer)) return *before;
  }
  const KeyValues stored = throughCache(layer, raw, before);
  for (int other = layer + 1; other < shape_.layers; ++other) {
    if (predictedFrom(plan_, other) != layer) continue;
    auto& next = waiting_[static_cast<std::size_t>(other)];
    if (followsGradients_)
      next = {KeyValues{stored.keys.detach(), stored.values.detach()}};
    else
      next.push_back(stored);
  }
  for (std::size_t reader = static_cast<std::size_t>(layer) + 1; reader < plan_.sharedFrom.size(); ++reader)
    if (plan_.sharedFrom[reader] == layer) waiting_[reader].push_back(stored);
  return stored;
}

KeyValues PlanTransform::throughCache(int layer, const KeyValues& raw, const std::optional<KeyValues>& before) const {
  const std::vector<Step>& steps = layers_[static_cast<std::size_t>(layer)];
  if (std::ranges::all_of(steps, [](const Step& step) { return step.rotatedHead >= 0; })) return raw;

  const at::Tensor original = at::cat({raw.keys, raw.values}, -1);
  at::Tensor changed = original;
  if (before && !steps.front().factors.isIdentity()) {  // one latent of all that is not predicted
    const GroupFactors& factors = steps.front().factors;
    const at::Tensor foreseen =
        at::matmul(at::cat({before->keys, before->values}, -1), factors.prediction.t().to(original.scalar_type()));
    changed = keepExact(throughLatent(steps.front(), original - foreseen) + foreseen, original, 1);
    return {changed.narrow(2, 0, shape_.keyWidth()), changed.narrow(2, shape_.keyWidth(), shape_.valueWidth())};
  }
  for (const Step& step : steps) {
    if (step.rotatedHead >= 0) continue;
    const bool readsInput = step.factors.readsInput();
    TORCH_CHECK(!readsInput || raw.input.defined(), "layer ", layer,
                " needs what its keys and values were projected from");
    const auto outputs = [&] { return step.columns.defined() ? original.index_select(2, step.columns) : original; };
    const at::Tensor through = throughLatent(step, readsInput ? raw.input : outputs());
    changed = step.columns.defined() ? changed.index_copy(2, step.columns, through) : through;
  }
  changed = keepExact(changed, original, 1);
  return {changed.narrow(2, 0, shape_.keyWidth()), changed.narrow(2, shape_.keyWidth(), shape_.valueWidth())};
}

at::Tensor PlanTransform::afterRope(int layer, at::Tensor keys) const {
  const int stored = plan_.sharedFrom.empty() ? layer : plan_.sharedFrom[static_cast<std::size_t>(layer)];
  const std::vector<Step>& steps = layers_[static_cast<std::size_t>(stored)];
  if (std::ranges::none_of(steps, [](const Step& step) { return step.rotatedHead >= 0; })) return keys;
  std::vector<at::Tensor> heads = keys.unbind(1);
  for (const Step& step : steps)
    if (step.rotatedHead >= 0) {
      at::Tensor& head = heads[static_cast<std::size_t>(step.rotatedHead)];
      head = throughLatent(step, head);
    }
  return keepExact(at::stack(heads, 1), keys, 2);
}

}  // namespace kvista
