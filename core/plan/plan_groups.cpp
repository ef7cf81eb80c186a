// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/plan_groups.h"

#include <cstddef>

namespace kvista {

namespace {

constexpr std::uint8_t kUncompressed = 16;

void append(Group& group, const ModelShape& shape, int layer, Side side, const std::vector<int>& heads) {
  for (const int head : heads) {
    const Slot slot{layer, side, head};
    group.slots.push_back(slot);
    group.widths.insert(group.widths.end(), static_cast<std::size_t>(slotWidth(slot, shape)), kUncompressed);
  }
}

}  // namespace

std::vector<Group> groupsOf(const ModelShape& shape, int layer, const HeadGroups& keyGroups,
                            const HeadGroups& valueGroups) {
  std::vector<Group> groups;
  for (const auto& heads : keyGroups) append(groups.emplace_back(), shape, layer, Side::key, heads);
  for (const auto& heads : valueGroups) append(groups.emplace_back(), shape, layer, Side::value, heads);
  return groups;
}

std::vector<Group> joinKeysAndValues(const ModelShape& shape, int layer, const HeadGroups& heads) {
  std::vector<Group> groups;
  for (const auto& group : heads) {
    append(groups.emplace_back(), shape, layer, Side::key, group);
    append(groups.back(), shape, layer, Side::value, group);
  }
  return groups;
}

std::vector<Group> singleSlots(const ModelShape& shape) {
  std::vector<Group> groups;
  for (int layer = 0; layer < shape.layers; ++layer)
    for (const Side side : {Side::key, Side::value})
      for (int head = 0; head < shape.kvHeads; ++head) append(groups.emplace_back(), shape, layer, side, {head});
  return groups;
}

}  // namespace kvista
