// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/plan/edit.h"
#include "core/plan/plan_names.h"

namespace kvista {

namespace {

using Heads = std::set<Slot>;

enum class Kind { keys, values, both };

Kind kindOf(const Group& group) {
  const auto is = [](Side side) { return [side](const Slot& slot) { return slot.side == side; }; };
  if (std::ranges::all_of(group.slots, is(Side::key))) return Kind::keys;
  return std::ranges::all_of(group.slots, is(Side::value)) ? Kind::values : Kind::both;
}

int layerOf(const Group& group) { return group.slots.empty() ? 0 : group.slots.front().layer; }

Heads headsOf(const Group& group) { return {group.slots.begin(), group.slots.end()}; }

std::string listOf(const Heads& heads) {
  constexpr std::size_t kNamed = 3;
  if (heads.size() > kNamed) return fmt::format("{} heads", heads.size());
  std::vector<std::string> names;
  for (const Slot& slot : heads) names.push_back(nameOf(slot));
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Groups of `plan` that `other` has not, whatever their order.
std::vector<int> groupsOnlyIn(const CompressionPlan& plan, const CompressionPlan& other) {
  std::set<Heads> known;
  for (const Group& group : other.groups) known.insert(headsOf(group));
  std::vector<int> result;
  for (std::size_t i = 0; i < plan.groups.size(); ++i)
    if (!known.contains(headsOf(plan.groups[i]))) result.push_back(static_cast<int>(i));
  return result;
}

const Group& groupAt(const CompressionPlan& plan, int index) { return plan.groups[static_cast<std::size_t>(index)]; }

std::string describeRegrouping(const CompressionPlan& before, const CompressionPlan& after,
                               const std::vector<int>& gone, const std::vector<int>& come) {
  std::set<int> layers;
  for (const int group : come)
    for (const Slot& slot : groupAt(after, group).slots) layers.insert(slot.layer);
  if (layers.size() > 1) return fmt::format("Regroup {} layers", layers.size());
  const int layer = layers.empty() ? 0 : *layers.begin();

  const auto allAre = [](const CompressionPlan& plan, const std::vector<int>& groups, bool both) {
    return std::ranges::all_of(groups, [&](int group) { return (kindOf(groupAt(plan, group)) == Kind::both) == both; });
  };
  // Who of the old groups goes on living in which new one: the largest overlaps first.
  std::vector<std::tuple<std::size_t, int, int>> overlaps;
  for (const int old : gone)
    for (const int fresh : come) {
      const Heads heads = headsOf(groupAt(before, old));
      const auto common =
          std::ranges::count_if(groupAt(after, fresh).slots, [&](const Slot& slot) { return heads.contains(slot); });
      if (common > 0) overlaps.emplace_back(static_cast<std::size_t>(common), -old, -fresh);
    }
  std::ranges::sort(overlaps, std::greater<>());
  std::map<int, int> successor;
  std::set<int> taken;
  for (const auto& [common, old, fresh] : overlaps)
    if (!successor.contains(-old) && !taken.contains(-fresh)) {
      successor[-old] = -fresh;
      taken.insert(-fresh);
    }
  Heads moved;
  std::set<int> goals;
  for (const int old : gone)
    for (const int fresh : come) {
      if (successor.contains(old) && successor[old] == fresh) continue;
      const Heads heads = headsOf(groupAt(before, old));
      for (const Slot& slot : groupAt(after, fresh).slots)
        if (heads.contains(slot)) {
          moved.insert(slot);
          goals.insert(fresh);
        }
    }
  constexpr std::size_t kSmallGroup = 3;
  if (gone.size() > 1 && come.size() == 1) {
    if (gone.size() == 2 && moved.size() == 1)
      return fmt::format("Move {} to {}", listOf(moved), groupName(after, come.front()));
    if (gone.size() == 2)
      return fmt::format("Merge {} with {}", groupName(before, gone[1]), groupName(before, gone[0]));
    return fmt::format("Merge {} groups of layer {}", gone.size(), layer);
  }
  if (gone.size() == 1 && come.size() == 2)
    return moved.size() <= kSmallGroup ? fmt::format("Move {} to a new group", listOf(moved))
                                       : fmt::format("Split {} of layer {}", groupName(before, gone.front()), layer);
  if (goals.size() == 1 && (gone.size() == 2 || come.size() < 4))
    return fmt::format("Move {} to {}", listOf(moved),
                       taken.contains(*goals.begin()) ? groupName(after, *goals.begin()) : "a new group");
  if (allAre(before, gone, false) && allAre(after, come, true))
    return fmt::format("Join keys and values of layer {}", layer);
  if (allAre(before, gone, true) && allAre(after, come, false))
    return fmt::format("Part keys and values of layer {}", layer);
  return fmt::format("Regroup layer {}", layer);
}

std::string describeTarget(const Target& target) {
  switch (target.kind) {
    case Target::Kind::share:
      return fmt::format("Set target to {:.3g} times smaller", 1 / target.value);
    case Target::Kind::keptFraction:
      return fmt::format("Set target to {:.3g} % of the numbers", 100 * target.value);
    case Target::Kind::bytesPerToken:
      return fmt::format("Set target to {:.0f} B a token", target.value);
    case Target::Kind::maxLoss:
      return fmt::format("Allow {:.3g} % more perplexity", 100 * target.value);
  }
  return {};
}

/// A setting of the whole plan that differs; empty where none does.
std::string describeSettings(const CompressionPlan& before, const CompressionPlan& after) {
  if (before.storage != after.storage) {
    constexpr const char* kNames[] = {"16-bit ranks", "codes", "plain quantisation"};
    return fmt::format("Store as {}", kNames[static_cast<std::size_t>(after.storage)]);
  }
  if (before.keyPosition != after.keyPosition)
    return fmt::format("Compress keys {} RoPE", after.keyPosition == KeyPosition::afterRope ? "after" : "before");
  if (before.method != after.method) return fmt::format("Use method {}", after.method);
  if (before.metric != after.metric)
    return fmt::format("Measure errors in the {} metric",
                       after.metric == Metric::fisher ? "Fisher" : nameIn(kMetrics, after.metric));
  if (before.damping != after.damping) return fmt::format("Set the metric's damping to {:.3g}", after.damping);
  if (before.sinkFree != after.sinkFree)
    return after.sinkFree ? "Take bases beyond the sinks" : "Take bases of all tokens";
  if (before.centred != after.centred)
    return after.centred ? "Take bases around the mean" : "Take bases without a mean";
  if (before.compensated != after.compensated)
    return after.compensated ? "Compensate the layers before" : "Leave compensation out";
  if (before.unwhitened != after.unwhitened)
    return after.unwhitened ? "Decompose the weights alone" : "Decompose for the text";
  if (before.uncalibrated != after.uncalibrated)
    return after.uncalibrated ? "Leave the values' calibration out" : "Calibrate values";
  if (before.sharedFrom != after.sharedFrom) return "Change which layers read another's cache";
  if (before.chain != after.chain)
    return after.chain > 1 ? fmt::format("Chain {} layers", after.chain) : "Code each layer by itself";
  if (before.tokenNumbers != after.tokenNumbers)
    return after.tokenNumbers ? "Store token numbers in the first layer" : "Code the first layer";
  if (before.trellis != after.trellis)
    return after.trellis ? "Code through a trellis" : "Code each direction by itself";
  if (before.allocator != after.allocator) return fmt::format("Allocate by {}", after.allocator);
  if (before.rankStep != after.rankStep) return fmt::format("Set rank step to {}", after.rankStep);
  if (before.exactTokens != after.exactTokens) return fmt::format("Keep {} tokens exact", after.exactTokens);
  if (before.scaleBlock != after.scaleBlock) return fmt::format("Set block of scales to {} tokens", after.scaleBlock);
  return {};
}

std::string describeGroups(const CompressionPlan& before, const CompressionPlan& after) {
  std::map<Heads, const Group*> known;
  for (const Group& group : before.groups) known[headsOf(group)] = &group;
  std::vector<int> widths, locks;
  for (int i = 0; i < static_cast<int>(after.groups.size()); ++i) {
    const Group& old = *known.at(headsOf(groupAt(after, i)));
    if (old.widths != groupAt(after, i).widths) widths.push_back(i);
    if (old.locked != groupAt(after, i).locked) locks.push_back(i);
  }
  const auto place = [&](int i) { return fmt::format("layer {} {}", layerOf(groupAt(after, i)), groupName(after, i)); };
  if (widths.empty() && !locks.empty()) {
    const char* verb = groupAt(after, locks.front()).locked ? "Lock" : "Unlock";
    return locks.size() == 1 ? fmt::format("{} {}", verb, place(locks.front()))
                             : fmt::format("{} {} groups", verb, locks.size());
  }
  if (widths.size() > 1) return fmt::format("Set ranks of {} groups", widths.size());
  if (widths.empty()) return "Reorder groups";
  const Group& group = groupAt(after, widths.front());
  if (known.at(headsOf(group))->rank() == group.rank())
    return fmt::format("Set bits of {} to {} B a token", place(widths.front()), bytesPerToken(after, group));
  return fmt::format("Set rank of {} to {}", place(widths.front()), group.rank());
}

}  // namespace

std::string groupName(const CompressionPlan& plan, int group) {
  const Group& its = groupAt(plan, group);
  const Kind kind = kindOf(its);
  int number = 0;
  for (int i = 0; i <= group; ++i)
    number += layerOf(groupAt(plan, i)) == layerOf(its) && kindOf(groupAt(plan, i)) == kind ? 1 : 0;
  return fmt::format("{}group {}", kind == Kind::keys ? "K " : kind == Kind::values ? "V " : "", number);
}

std::string describeEdit(const CompressionPlan& before, const CompressionPlan& after) {
  if (before == after) return {};
  const auto gone = groupsOnlyIn(before, after), come = groupsOnlyIn(after, before);
  // A change of method or storage brings its own groups; what the hand did then is the change of the setting.
  if (std::string text = describeSettings(before, after); !text.empty()) return text;
  if (!come.empty() && !gone.empty()) return describeRegrouping(before, after, gone, come);
  if (before.target != after.target) return describeTarget(after.target);
  return before.groups == after.groups ? "Regroup" : describeGroups(before, after);
}

}  // namespace kvista
