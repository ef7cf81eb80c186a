// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/held_latents.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/policy/quantise.h"

namespace kvista {
namespace {

constexpr std::int64_t kNumberBytes = 2;

bool hasKeys(const Group& group) {
  return std::ranges::any_of(group.slots, [](const Slot& slot) { return slot.side == Side::key; });
}

}  // namespace

HeldLatents::HeldLatents(const PlanTransform& transform, const ModelShape& shape)
    : plan_(transform.plan()),
      shape_(shape),
      latents_(plan_.groups.size()),
      recorder_(transform.withLatents([this](std::size_t group, const at::Tensor& latents) {
        at::Tensor& own = latents_[group];
        if (!own.defined()) return own = latents;
        // Others stand in for the first tokens where those were read before.
        const std::int64_t standIns = std::min<std::int64_t>(own.size(1), plan_.exactTokens);
        own = at::cat({own, latents.narrow(1, standIns, latents.size(1) - standIns)}, 1);
        return latents;
      })),
      player_(transform.withLatents([this](std::size_t group, const at::Tensor&) { return latents_[group]; })) {}

void HeldLatents::hold(const Policy& policy, const PolicySettings& settings) {
  storages_.clear();
  for (const Group& group : plan_.groups) {
    storages_.emplace_back();
    if (group.rank() == 0) continue;
    ModelShape oneHead = shape_;
    oneHead.layers = oneHead.kvHeads = 1;
    oneHead.headDim = hasKeys(group) ? group.rank() : 0;
    oneHead.valueHeadDim = hasKeys(group) ? 0 : group.rank();
    storages_.back() = policy.makeStorage(settings, oneHead);
    queries_ = storages_.back()->queries();
  }
}

Result<void> HeldLatents::prepare(const Decoder&, const PlanTransform*, const LiveCache& cache) {
  player_.beginPass();
  sequenceLength_ = std::max(cache.sequenceLength, cache.tokens);
  return {};
}

Result<void> HeldLatents::store(const LayerView& view, LiveLayer& layer) {
  for (std::size_t group = 0; group < storages_.size(); ++group)
    if (storages_[group] != nullptr && plan_.groups[group].slots.front().layer == view.layer)
      KVISTA_CHECK(storeGroup(group, view));
  const KeyValues all = rebuilt(view);
  const at::Tensor places = layer.positions.clamp_min(0).unsqueeze(3), isStored = layer.positions.ge(plan_.exactTokens);
  const auto taken = [&](const at::Tensor& x) { return x.gather(2, places.expand({-1, -1, -1, x.size(3)})); };
  layer.keys = replacedWhere(isStored, taken(all.keys), layer.keys);
  layer.values = replacedWhere(isStored, taken(all.values), layer.values);
  return {};
}

Result<void> HeldLatents::storeGroup(std::size_t which, const LayerView& view) {
  const Group& group = plan_.groups[which];
  const std::int64_t exact = plan_.exactTokens, held = view.cache.places() - exact;  // first tokens always stay
  if (held <= 0) return {};
  at::Tensor& latents = latents_[which];
  const std::int64_t read = latents.size(1);
  // [b, 1, held].
  const at::Tensor positions = view.cache.positions.narrow(1, group.slots.front().head, 1).narrow(2, exact, held);
  const at::Tensor isEmpty = positions.lt(0);
  const at::Tensor places =
      positions.masked_fill(isEmpty, read).squeeze(1).unsqueeze(2).expand({-1, -1, latents.size(2)});
  const at::Tensor all = at::cat({latents, at::zeros({latents.size(0), 1, latents.size(2)}, latents.options())}, 1);
  const at::Tensor own = all.gather(1, places).unsqueeze(1), none = own.narrow(3, 0, 0);
  LiveLayer head;
  head.keys = hasKeys(group) ? own : none;
  head.values = hasKeys(group) ? none : own;
  head.positions = (positions - exact).masked_fill(isEmpty, -1);
  const LiveLayer before = head;
  KVISTA_CHECK(storages_[which]->store({view.decoder, view.layer, before, view.tokens - exact, &view, &group}, head));
  const at::Tensor& changed = hasKeys(group) ? head.keys : head.values;
  latents = all.scatter(1, places, changed.squeeze(1)).narrow(1, 0, read);
  return {};
}

KeyValues HeldLatents::rebuilt(const LayerView& view) const {
  const at::Tensor& like = view.cache.keys;
  const std::int64_t batch = like.size(0), tokens = view.tokens;
  // In place of what was projected: all of it is rebuilt from latents, but for exact tokens, which are not asked for.
  const auto nothing = [&](std::int64_t width) { return at::zeros({batch, tokens, width}, like.options()); };
  KeyValues raw = player_.beforeRope(
      view.layer, {nothing(shape_.keyWidth()), nothing(shape_.valueWidth()), nothing(shape_.hiddenSize)});
  if (const at::Tensor bias = view.decoder.keyBias(view.layer); bias.defined()) raw.keys = raw.keys + bias;
  if (const at::Tensor bias = view.decoder.valueBias(view.layer); bias.defined()) raw.values = raw.values + bias;
  const at::Tensor places = at::arange(tokens, at::TensorOptions(at::kLong).device(like.device())).repeat({batch});
  const at::Tensor turned = view.decoder.rotateKeys(view.layer, raw.keys.flatten(0, 1), places, sequenceLength_);
  return {player_.afterRope(view.layer, turned.unflatten(0, {batch, tokens}).transpose(1, 2)),
          raw.values.unflatten(2, {shape_.kvHeads, shape_.valueHeadDim}).transpose(1, 2)};
}

std::int64_t HeldLatents::bytes(const TokenBytes& token, std::int64_t tokens) const {
  const std::int64_t first = std::min(tokens, token.exactTokens);
  std::int64_t bytes = first * token.first;
  for (const std::size_t group : token.groups) {
    if (storages_[group] == nullptr) continue;
    TokenBytes own;
    own.exact = own.stored = own.first = plan_.groups[group].rank() * kNumberBytes;
    bytes += storages_[group]->bytes(own, tokens - first);
  }
  return bytes;
}

}  // namespace kvista
