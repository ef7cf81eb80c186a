// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace kvista {

namespace {

using Widths = std::vector<std::uint8_t>;

/// Keys before values, then by layer and head: the order of slots in a group.
auto orderOf(const Slot& slot) { return std::tuple(slot.side, slot.layer, slot.head); }
bool comesBefore(const Slot& a, const Slot& b) { return orderOf(a) < orderOf(b); }

std::set<int> layersOf(std::span<const Slot> slots) {
  std::set<int> layers;
  for (const Slot& slot : slots) layers.insert(slot.layer);
  return layers;
}

bool isIn(const Slot& slot, std::span<const Slot> slots) { return std::ranges::find(slots, slot) != slots.end(); }

Result<void> checkPlan(const CompressionPlan& plan, const ModelShape& shape) {
  if (const auto problems = validate(plan, shape); !problems.empty())
    return fail(ErrorCode::invalidArgument, problems.front(), "The plan must be sound before it can be edited.");
  return {};
}

Result<void> checkIndex(const CompressionPlan& plan, int group) {
  if (group < 0 || group >= static_cast<int>(plan.groups.size()))
    return fail(ErrorCode::invalidArgument,
                fmt::format("There is no group {}; the plan has {}.", group, plan.groups.size()));
  return {};
}

Result<void> checkLayer(const ModelShape& shape, int layer) {
  if (layer < 0 || layer >= shape.layers)
    return fail(ErrorCode::invalidArgument,
                fmt::format("There is no layer {}; the model has {}.", layer, shape.layers));
  return {};
}

Result<void> checkUnlocked(const CompressionPlan& plan, int group) {
  const Group& each = plan.groups[static_cast<std::size_t>(group)];
  if (each.locked)
    return fail(ErrorCode::invalidArgument,
                fmt::format("Layer {} {} is locked.", each.slots.front().layer, groupName(plan, group)),
                "Unlock it first.");
  return {};
}

/// Every group of the layer may be replaced: none is locked, none reaches into another layer.
Result<void> checkReplaceable(const CompressionPlan& plan, int layer) {
  for (int index = 0; index < static_cast<int>(plan.groups.size()); ++index) {
    const auto layers = layersOf(plan.groups[static_cast<std::size_t>(index)].slots);
    if (!layers.contains(layer)) continue;
    KVISTA_CHECK(checkUnlocked(plan, index));
    if (layers.size() > 1)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("Layer {} shares a group with layer {}.", layer,
                              *layers.begin() == layer ? *layers.rbegin() : *layers.begin()),
                  "Move its heads out of that group first.");
  }
  return {};
}

/// What each slot of a group gets of its widths, widest first: always the one that is furthest behind its share.
std::map<Slot, Widths> sharesOf(const Group& group, const ModelShape& shape) {
  Widths sorted = group.widths;
  std::ranges::sort(sorted, std::greater<>());
  std::map<Slot, Widths> shares;
  const auto total = static_cast<std::int64_t>(sorted.size());
  for (std::int64_t dealt = 0; dealt < total; ++dealt) {
    const Slot* behind = nullptr;
    // Of what is missing, times the group's size: whole numbers. Never a slot that has all it can hold.
    std::int64_t most = 0;
    for (const Slot& slot : group.slots) {
      const std::int64_t missing =
          slotWidth(slot, shape) * (dealt + 1) - static_cast<std::int64_t>(shares[slot].size()) * total;
      if (!behind || missing > most) std::tie(behind, most) = std::pair(&slot, missing);
    }
    shares[*behind].push_back(sorted[static_cast<std::size_t>(dealt)]);
  }
  return shares;
}

/// The plan with other groups: `slots[i]` are the heads of the new group i. Groups that keep their heads keep
/// everything else.
Result<CompressionPlan> assemble(CompressionPlan plan, const ModelShape& shape,
                                 const std::vector<std::vector<Slot>>& slots) {
  std::map<Slot, std::size_t> home;
  for (std::size_t i = 0; i < plan.groups.size(); ++i)
    for (const Slot& slot : plan.groups[i].slots) home[slot] = i;
  std::map<std::size_t, std::map<Slot, Widths>> shares;
  std::vector<Group> groups;
  for (const auto& heads : slots) {
    if (heads.empty()) continue;
    const Group& first = plan.groups[home.at(heads.front())];
    if (std::ranges::is_permutation(first.slots, heads)) {
      groups.push_back(first);
      groups.back().slots = heads;
      continue;
    }
    Group& group = groups.emplace_back();
    group.slots = heads;
    for (const Slot& slot : heads) {
      const std::size_t from = home.at(slot);
      if (!shares.contains(from)) shares[from] = sharesOf(plan.groups[from], shape);
      const Widths& share = shares[from][slot];
      group.widths.insert(group.widths.end(), share.begin(), share.end());
    }
    std::ranges::sort(group.widths, std::greater<>());
  }
  plan.groups = std::move(groups);
  plan.grouping = "manual";
  KVISTA_CHECK(checkPlan(plan, shape));
  return plan;
}

std::vector<std::vector<Slot>> slotLists(const CompressionPlan& plan) {
  std::vector<std::vector<Slot>> lists;
  for (const Group& group : plan.groups) lists.push_back(group.slots);
  return lists;
}

void insertInOrder(std::vector<Slot>& group, const Slot& slot) {
  group.insert(group.begin() + static_cast<std::ptrdiff_t>(placeOf(slot, group)), slot);
}

/// Before the first group of the layer that begins with a later head; else after the layer's last group.
std::size_t placeOfGroup(const std::vector<std::vector<Slot>>& lists, const Slot& first) {
  std::size_t place = lists.size();
  for (std::size_t i = 0; i < lists.size(); ++i) {
    if (lists[i].empty() || !layersOf(lists[i]).contains(first.layer)) continue;
    if (comesBefore(first, lists[i].front())) return i;
    place = i + 1;
  }
  return place;
}

/// `lists` with all groups of the layer replaced, where the first of them stood.
void replaceLayer(std::vector<std::vector<Slot>>& lists, int layer, const std::vector<std::vector<Slot>>& groups) {
  const auto ofLayer = [layer](const std::vector<Slot>& slots) {
    return !slots.empty() && slots.front().layer == layer;
  };
  const auto place = std::ranges::find_if(lists, ofLayer) - lists.begin();
  std::erase_if(lists, ofLayer);
  lists.insert(lists.begin() + place, groups.begin(), groups.end());
}

Result<void> checkHeads(const HeadGroups& groups, const ModelShape& shape, std::string_view side) {
  std::set<int> seen;
  std::size_t count = 0;
  for (const auto& heads : groups) {
    seen.insert(heads.begin(), heads.end());
    count += heads.size();
  }
  const bool whole =
      static_cast<int>(seen.size()) == shape.kvHeads && *seen.begin() == 0 && *seen.rbegin() == shape.kvHeads - 1;
  if (!whole || count != seen.size())
    return fail(ErrorCode::invalidArgument,
                fmt::format("The {} groups name {} heads, {} of them different; each of the {} must be there once.",
                            side, count, seen.size(), shape.kvHeads));
  return {};
}

}  // namespace

std::string nameOf(const Slot& slot) { return fmt::format("{}{}", slot.side == Side::key ? 'K' : 'V', slot.head); }

std::size_t placeOf(const Slot& slot, std::span<const Slot> group) {
  std::size_t place = slot.side == Side::key ? 0 : group.size();
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (group[i].side != slot.side) continue;
    if (comesBefore(slot, group[i])) return i;
    place = i + 1;
  }
  return place;
}

HeadGroups headGroups(const CompressionPlan& plan, int layer, Side side) {
  HeadGroups groups;
  for (const Group& group : plan.groups) {
    std::vector<int> heads;
    for (const Slot& slot : group.slots)
      if (slot.layer == layer && slot.side == side) heads.push_back(slot.head);
    if (!heads.empty()) groups.push_back(std::move(heads));
  }
  return groups;
}

Result<void> checkMove(const Group& target, std::span<const Slot> slots, KeyPosition keyPosition, Storage storage) {
  std::vector<Slot> coming;
  std::ranges::copy_if(slots, std::back_inserter(coming), [&](const Slot& slot) { return !isIn(slot, target.slots); });
  if (coming.empty()) return {};
  if (target.locked) return fail(ErrorCode::invalidArgument, "This group is locked.", "Unlock it first.");
  if (const auto layers = layersOf(target.slots); !layers.empty())
    for (const Slot& slot : coming)
      if (!layers.contains(slot.layer))
        return fail(ErrorCode::invalidArgument, fmt::format("{} is a head of layer {}, this group is of layer {}.",
                                                            nameOf(slot), slot.layer, *layers.begin()));
  const std::size_t heads = target.slots.size() + coming.size();
  if (heads == 1) return {};
  if (storage == Storage::plainQuantised)
    return fail(ErrorCode::invalidArgument, "Plain quantisation keeps every head on its own.",
                "Choose coded or 16-bit storage to share a group.");
  const auto isKey = [](const Slot& slot) { return slot.side == Side::key; };
  if (keyPosition == KeyPosition::afterRope &&
      (std::ranges::any_of(target.slots, isKey) || std::ranges::any_of(coming, isKey)))
    return fail(ErrorCode::invalidArgument, "A key head that is compressed after RoPE must be alone in its group.",
                "Compress keys before RoPE to share a group.");
  return {};
}

Result<CompressionPlan> moveSlots(CompressionPlan plan, const ModelShape& shape, std::span<const Slot> slots,
                                  int target) {
  KVISTA_CHECK(checkPlan(plan, shape));
  const std::set<Slot> distinct(slots.begin(), slots.end());
  const std::vector<Slot> moved(distinct.begin(), distinct.end());
  if (moved.empty()) return fail(ErrorCode::invalidArgument, "No heads are chosen.");
  if (target != kNewGroup) KVISTA_CHECK(checkIndex(plan, target));
  if (layersOf(moved).size() != 1)
    return fail(ErrorCode::invalidArgument, fmt::format("The chosen heads are of {} layers.", layersOf(moved).size()),
                "Move the heads of one layer at a time.");
  Group goal;
  if (target != kNewGroup) goal = plan.groups[static_cast<std::size_t>(target)];
  KVISTA_CHECK(checkMove(goal, moved, plan.keyPosition, plan.storage));

  std::size_t found = 0;
  for (int index = 0; index < static_cast<int>(plan.groups.size()); ++index) {
    const auto& heads = plan.groups[static_cast<std::size_t>(index)].slots;
    const auto leaving = static_cast<std::size_t>(
        std::ranges::count_if(heads, [&](const Slot& slot) { return distinct.contains(slot); }));
    found += leaving;
    if (leaving > 0 && index != target) KVISTA_CHECK(checkUnlocked(plan, index));
    const bool nothingChanges =
        leaving == moved.size() && (index == target || (target == kNewGroup && leaving == heads.size()));
    if (nothingChanges)
      return fail(ErrorCode::invalidArgument, target == kNewGroup ? "These heads already have a group of their own."
                                                                  : "These heads are already in that group.");
  }
  if (found != moved.size())
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} of the {} heads are not in the plan.", moved.size() - found, moved.size()));

  auto lists = slotLists(plan);
  for (std::size_t i = 0; i < lists.size(); ++i)
    if (static_cast<int>(i) != target)
      std::erase_if(lists[i], [&](const Slot& slot) { return distinct.contains(slot); });
  if (target == kNewGroup) {
    std::vector<Slot> group;
    for (const Slot& slot : moved) insertInOrder(group, slot);
    const std::size_t place = placeOfGroup(lists, group.front());
    lists.insert(lists.begin() + static_cast<std::ptrdiff_t>(place), std::move(group));
  } else {
    auto& group = lists[static_cast<std::size_t>(target)];
    for (const Slot& slot : moved)
      if (!isIn(slot, group)) insertInOrder(group, slot);
  }
  return assemble(std::move(plan), shape, lists);
}

Result<CompressionPlan> splitGroup(CompressionPlan plan, const ModelShape& shape, int group,
                                   std::span<const Slot> out) {
  KVISTA_CHECK(checkIndex(plan, group));
  const auto& slots = plan.groups[static_cast<std::size_t>(group)].slots;
  for (const Slot& slot : out)
    if (!isIn(slot, slots))
      return fail(ErrorCode::invalidArgument, fmt::format("{} is not in {}.", nameOf(slot), groupName(plan, group)));
  const std::set<Slot> distinct(out.begin(), out.end());
  if (distinct.empty() || distinct.size() == slots.size())
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} of the {} heads are to be split off; some must stay and some must go.", distinct.size(),
                            slots.size()));
  return moveSlots(std::move(plan), shape, out, kNewGroup);
}

Result<CompressionPlan> mergeGroups(CompressionPlan plan, const ModelShape& shape, std::span<const int> groups) {
  const std::set<int> distinct(groups.begin(), groups.end());
  if (distinct.size() < 2)
    return fail(ErrorCode::invalidArgument, "Only one group is chosen.", "Choose two or more groups to merge.");
  std::vector<Slot> slots;
  for (const int group : distinct) {
    KVISTA_CHECK(checkIndex(plan, group));
    KVISTA_CHECK(checkUnlocked(plan, group));
    const auto& heads = plan.groups[static_cast<std::size_t>(group)].slots;
    if (group != *distinct.begin()) slots.insert(slots.end(), heads.begin(), heads.end());
  }
  return moveSlots(std::move(plan), shape, slots, *distinct.begin());
}

Result<CompressionPlan> regroupLayer(CompressionPlan plan, const ModelShape& shape, int layer, const HeadGroups& keys,
                                     const HeadGroups& values, bool joint) {
  KVISTA_CHECK(checkPlan(plan, shape));
  KVISTA_CHECK(checkLayer(shape, layer));
  KVISTA_CHECK(checkHeads(keys, shape, "key"));
  KVISTA_CHECK(checkHeads(values, shape, "value"));
  if (joint && keys != values)
    return fail(ErrorCode::invalidArgument, "Keys and values that share groups must be grouped alike.");
  KVISTA_CHECK(checkReplaceable(plan, layer));
  std::vector<std::vector<Slot>> groups;
  const auto append = [layer](std::vector<Slot>& group, Side side, const std::vector<int>& heads) {
    for (const int head : heads) group.push_back({layer, side, head});
  };
  for (const auto& heads : keys) {
    append(groups.emplace_back(), Side::key, heads);
    if (joint) append(groups.back(), Side::value, heads);
  }
  if (!joint)
    for (const auto& heads : values) append(groups.emplace_back(), Side::value, heads);
  for (const auto& group : groups) {
    Group alone;
    KVISTA_CHECK(checkMove(alone, group, plan.keyPosition, plan.storage));
  }
  auto lists = slotLists(plan);
  replaceLayer(lists, layer, groups);
  return assemble(std::move(plan), shape, lists);
}

Result<CompressionPlan> joinLayer(CompressionPlan plan, const ModelShape& shape, int layer, bool joint) {
  const HeadGroups keys = headGroups(plan, layer, Side::key);
  const HeadGroups values = headGroups(plan, layer, Side::value);
  return regroupLayer(std::move(plan), shape, layer, keys, joint ? keys : values, joint);
}

Result<CompressionPlan> applyLayerTo(CompressionPlan plan, const ModelShape& shape, int fromLayer,
                                     std::span<const int> layers) {
  KVISTA_CHECK(checkPlan(plan, shape));
  KVISTA_CHECK(checkLayer(shape, fromLayer));
  std::vector<std::vector<Slot>> pattern;
  for (const Group& group : plan.groups) {
    const auto its = layersOf(group.slots);
    if (!its.contains(fromLayer)) continue;
    if (its.size() > 1)
      return fail(
          ErrorCode::invalidArgument,
          fmt::format("A group of layer {} holds heads of other layers too; it fits no other layer.", fromLayer));
    pattern.push_back(group.slots);
  }
  auto lists = slotLists(plan);
  for (const int layer : std::set<int>(layers.begin(), layers.end())) {
    KVISTA_CHECK(checkLayer(shape, layer));
    if (layer == fromLayer) continue;
    KVISTA_CHECK(checkReplaceable(plan, layer));
    auto groups = pattern;
    for (auto& group : groups)
      for (Slot& slot : group) slot.layer = layer;
    replaceLayer(lists, layer, groups);
  }
  return assemble(std::move(plan), shape, lists);
}

Result<CompressionPlan> setLock(CompressionPlan plan, int group, bool locked) {
  KVISTA_CHECK(checkIndex(plan, group));
  const int layer = plan.groups[static_cast<std::size_t>(group)].slots.front().layer;
  if (!locked && !storesDirections(plan, layer))
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("Layer {} {}, and stores nothing that could be unlocked.", layer,
                    readsAnotherLayer(plan, layer)
                        ? fmt::format("reads the cache of layer {}", plan.sharedFrom[static_cast<std::size_t>(layer)])
                        : "has numbers of tokens"),
        "Make the plan anew with a cache for this layer.");
  plan.groups[static_cast<std::size_t>(group)].locked = locked;
  return plan;
}

}  // namespace kvista
