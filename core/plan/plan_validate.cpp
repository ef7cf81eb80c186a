// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "core/plan/plan.h"

namespace kvista {

namespace {

constexpr int kMaxRankStep = 1024;
constexpr int kMaxScaleBlock = 4096;

class Problems {
 public:
  template <class... Arguments>
  void add(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    if (list_.size() < kMaxProblems)
      list_.push_back(fmt::format(text, std::forward<Arguments>(arguments)...));
    else
      ++others_;
  }
  [[nodiscard]] std::vector<std::string> take() && {
    if (others_ > 0) list_.push_back(fmt::format("... and {} more problems.", others_));
    return std::move(list_);
  }

 private:
  std::vector<std::string> list_;
  std::int64_t others_ = 0;
};

std::string nameOf(const Slot& slot) {
  return fmt::format("layer {} {} head {}", slot.layer, slot.side == Side::key ? "key" : "value", slot.head);
}

std::span<const std::uint8_t> storedWidths(Storage storage) {
  static constexpr std::uint8_t kLowRank[] = {0, 16};
  static constexpr std::uint8_t kCoded[] = {0, 1, 2, 3, 4, 6, 8, 16};
  static constexpr std::uint8_t kPlain[] = {2, 3, 4, 8, 16};
  switch (storage) {
    case Storage::lowRank16:
      return kLowRank;
    case Storage::coded:
      return kCoded;
    case Storage::plainQuantised:
      return kPlain;
  }
  return {};
}

void checkSettings(const CompressionPlan& plan, Problems& problems) {
  if (plan.rankStep < 1 || plan.rankStep > kMaxRankStep)
    problems.add("The rank step is {}; it must be 1 to {}.", plan.rankStep, kMaxRankStep);
  if (plan.exactTokens < 0 || plan.exactTokens > kMaxExactTokens)
    problems.add("The plan keeps {} exact tokens; it must be 0 to {}.", plan.exactTokens, kMaxExactTokens);
  if (plan.storage == Storage::plainQuantised && (plan.scaleBlock < 1 || plan.scaleBlock > kMaxScaleBlock))
    problems.add("The scale block is {} tokens; it must be 1 to {}.", plan.scaleBlock, kMaxScaleBlock);
  if (!(plan.damping >= 0) || plan.damping > kMaxDamping)
    problems.add("The metric's damping is {}; it must be 0 to {}.", plan.damping, kMaxDamping);
  if (plan.compensated && (plan.storage == Storage::plainQuantised || plan.keyPosition == KeyPosition::afterRope))
    problems.add("The plan is compensated, which needs keys before RoPE and a latent.");
  if (plan.trellis && plan.storage != Storage::coded)
    problems.add("The plan's codes go through a trellis, and it stores no codes.");
  if (plan.centred && plan.storage == Storage::plainQuantised)
    problems.add("The plan is centred, which needs a latent.");
  if (plan.unwhitened && (plan.storage != Storage::lowRank16 || plan.keyPosition == KeyPosition::afterRope ||
                          plan.centred || plan.sinkFree || plan.compensated))
    problems.add(
        "The plan is made from the weights alone (unwhitened), which needs numbers of 16 bits, keys before RoPE and "
        "neither mean, sinks nor compensation.");
  if (plan.metric == Metric::eigen && plan.keyPosition != KeyPosition::afterRope)
    problems.add("The metric eigen looks at queries as attention has them, which needs keys after RoPE.");
  const double value = plan.target.value;
  const bool fraction = plan.target.kind == Target::Kind::share || plan.target.kind == Target::Kind::keptFraction;
  if (!std::isfinite(value) || value <= 0 || (fraction && value > 1))
    problems.add("The target is {}; it must be above 0{}.", value, fraction ? " and at most 1" : "");
}

void checkSharing(const CompressionPlan& plan, const ModelShape& shape, Problems& problems) {
  if (plan.sharedFrom.empty()) return;
  const auto layers = static_cast<int>(plan.sharedFrom.size());
  if (layers != shape.layers) {
    problems.add("The plan says of {} layers whose cache they read; the model has {}.", layers, shape.layers);
    return;
  }
  if (plan.storage == Storage::plainQuantised)
    problems.add("Layers that read another's cache need a plan with latents.");
  if (plan.keyPosition == KeyPosition::afterRope)
    problems.add("Layers that read another's cache need keys before RoPE: each adds its own bias and norm to them.");
  if (plan.compensated) problems.add("The plan is compensated, which layers that read another's cache cannot be.");
  for (int layer = 0; layer < layers; ++layer) {
    const int source = plan.sharedFrom[static_cast<std::size_t>(layer)];
    if (source < 0 || source > layer || readsAnotherLayer(plan, source))
      problems.add(
          "Layer {} reads the cache of layer {}; it must be its own or that of an earlier layer that has its own.",
          layer, source);
  }
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    const auto reader = std::find_if(group.slots.begin(), group.slots.end(),
                                     [&](const Slot& slot) { return readsAnotherLayer(plan, slot.layer); });
    if (reader != group.slots.end() && group.rank() > 0)
      problems.add("Group {} stores {} directions of layer {}, which reads the cache of another.", i, group.rank(),
                   reader->layer);
  }
}

/// A layer that predicts another predicts all its outputs: each has one group, and that the slots in their order.
void checkPrediction(const CompressionPlan& plan, const ModelShape& shape, Problems& problems) {
  if (plan.chain == 1 && !plan.tokenNumbers) return;
  if (plan.chain < 1 || plan.chain > kMaxChain) {
    problems.add("The plan chains {} layers; it must be 1 to {}.", plan.chain, kMaxChain);
    return;
  }
  if (plan.storage != Storage::coded || plan.keyPosition == KeyPosition::afterRope || plan.centred ||
      plan.compensated || !plan.sharedFrom.empty())
    problems.add(
        "Layers that others predict need codes and keys before RoPE, and neither mean, compensation nor shared "
        "layers.");
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    if (group.slots.size() != 2 * static_cast<std::size_t>(shape.kvHeads) ||
        !std::is_sorted(group.slots.begin(), group.slots.end()))
      problems.add(
          "Group {} does not hold all {} heads of one layer in their order, which layers need that predict others.", i,
          2 * shape.kvHeads);
    else if (storesTokenNumbers(plan, group.slots.front().layer) && group.rank() > 0)
      problems.add("Group {} stores {} directions of layer 0, which stores the numbers of tokens.", i, group.rank());
  }
}

void checkGroup(const CompressionPlan& plan, std::size_t index, const ModelShape& shape, Problems& problems) {
  const Group& group = plan.groups[index];
  if (group.slots.empty()) {
    problems.add("Group {} holds no head.", index);
    return;
  }
  std::size_t width = 0;
  bool hasKey = false;
  for (const Slot& slot : group.slots) {
    if (slot.layer < 0 || slot.layer >= shape.layers || slot.head < 0 || slot.head >= shape.kvHeads)
      problems.add("Group {} holds {}, but the model has {} layers of {} KV heads.", index, nameOf(slot), shape.layers,
                   shape.kvHeads);
    width += static_cast<std::size_t>(slotWidth(slot, shape));
    hasKey |= slot.side == Side::key;
  }
  if (group.widths.size() != width)
    problems.add("Group {} has {} widths, but its heads have {} numbers.", index, group.widths.size(), width);

  const auto allowed = storedWidths(plan.storage);
  const auto odd = std::find_if(group.widths.begin(), group.widths.end(), [&](std::uint8_t bits) {
    return std::find(allowed.begin(), allowed.end(), bits) == allowed.end();
  });
  if (odd != group.widths.end())
    problems.add("Group {} has a width of {} bits at direction {}; this way of storing knows {}.", index, *odd,
                 odd - group.widths.begin(), fmt::join(allowed, " "));

  if (plan.storage == Storage::plainQuantised) {
    if (group.slots.size() != 1)
      problems.add("Group {} holds {} heads; plain quantisation needs every head on its own.", index,
                   group.slots.size());
    if (std::adjacent_find(group.widths.begin(), group.widths.end(), std::not_equal_to<>()) != group.widths.end())
      problems.add("Group {} mixes widths; plain quantisation needs one width a head.", index);
  } else if (plan.keyPosition == KeyPosition::afterRope && hasKey && group.slots.size() != 1) {
    problems.add("Group {} holds {} heads; a key head that is compressed after RoPE must be alone.", index,
                 group.slots.size());
  }
}

/// Every slot of the model exactly once; needs no memory that a shape could make large.
void checkCoverage(const CompressionPlan& plan, const ModelShape& shape, Problems& problems) {
  std::vector<Slot> slots;
  for (const Group& group : plan.groups) slots.insert(slots.end(), group.slots.begin(), group.slots.end());
  std::sort(slots.begin(), slots.end());
  for (std::size_t i = 1; i < slots.size(); ++i)
    if (slots[i] == slots[i - 1]) problems.add("The {} is in more than one place.", nameOf(slots[i]));
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  std::erase_if(slots, [&](const Slot& slot) {
    return slot.layer < 0 || slot.layer >= shape.layers || slot.head < 0 || slot.head >= shape.kvHeads;
  });

  const std::int64_t needed = std::int64_t{2} * shape.layers * shape.kvHeads;
  const std::int64_t missing = needed - static_cast<std::int64_t>(slots.size());
  if (missing <= 0) return;
  const auto slotAt = [&](std::int64_t i) {
    const std::int64_t perLayer = std::int64_t{2} * shape.kvHeads;
    const int inLayer = static_cast<int>(i % perLayer);
    return Slot{static_cast<int>(i / perLayer), inLayer < shape.kvHeads ? Side::key : Side::value,
                inLayer % shape.kvHeads};
  };
  std::int64_t first = 0;
  while (first < static_cast<std::int64_t>(slots.size()) && slots[static_cast<std::size_t>(first)] == slotAt(first))
    ++first;
  problems.add("{} of the model's {} heads are in no group, the first is {}.", missing, needed, nameOf(slotAt(first)));
}

}  // namespace

std::vector<std::string> validate(const CompressionPlan& plan, const ModelShape& shape) {
  Problems problems;
  if (shape.layers < 1 || shape.kvHeads < 1 || shape.headDim < 1 || shape.valueHeadDim < 1) {
    problems.add("The model has {} layers of {} KV heads of {} and {} numbers; a plan needs at least one of each.",
                 shape.layers, shape.kvHeads, shape.headDim, shape.valueHeadDim);
    return std::move(problems).take();
  }
  checkSettings(plan, problems);
  checkSharing(plan, shape, problems);
  checkPrediction(plan, shape, problems);
  for (std::size_t i = 0; i < plan.groups.size(); ++i) checkGroup(plan, i, shape, problems);
  checkCoverage(plan, shape, problems);
  return std::move(problems).take();
}

}  // namespace kvista
