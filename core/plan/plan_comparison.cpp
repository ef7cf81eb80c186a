// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/plan_comparison.h"

#include <cstddef>
#include <limits>

namespace kvista {

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

bool isOf(const Slot& slot, const ModelShape& shape) {
  return slot.layer >= 0 && slot.layer < shape.layers && slot.head >= 0 && slot.head < shape.kvHeads;
}

int numbersOf(const Group& group, const ModelShape& shape) {
  int numbers = 0;
  for (const Slot& slot : group.slots)
    if (isOf(slot, shape)) numbers += slotWidth(slot, shape);
  return numbers;
}

}  // namespace

Matrix bitsPerNumber(const CompressionPlan& plan, const ModelShape& shape) {
  Matrix bits{shape.layers, 2 * shape.kvHeads, {}};
  bits.values.assign(static_cast<std::size_t>(bits.rows) * static_cast<std::size_t>(bits.columns),
                     static_cast<float>(kUnknown));
  for (const Group& group : plan.groups) {
    const int numbers = numbersOf(group, shape);
    if (numbers == 0) continue;
    const auto each = static_cast<float>(8.0 * static_cast<double>(bytesPerToken(plan, group)) / numbers);
    for (const Slot& slot : group.slots)
      if (isOf(slot, shape))
        bits.values[static_cast<std::size_t>(slot.layer * bits.columns + (slot.side == Side::key ? 0 : shape.kvHeads) +
                                             slot.head)] = each;
  }
  return bits;
}

Matrix lossByLayer(const CompressionPlan& plan, const ModelShape& shape, const std::vector<double>& groupLosses) {
  if (groupLosses.size() != plan.groups.size()) return {};
  const auto cells = static_cast<std::size_t>(2 * shape.layers);
  std::vector<double> sums(cells, 0.0);  // Not in floats: a large layer has many small groups.
  std::vector<int> slots(cells, 0);
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const int numbers = numbersOf(plan.groups[i], shape);
    for (const Slot& slot : plan.groups[i].slots) {
      if (!isOf(slot, shape)) continue;
      const auto cell = static_cast<std::size_t>(2 * slot.layer + (slot.side == Side::key ? 0 : 1));
      sums[cell] += groupLosses[i] * slotWidth(slot, shape) / numbers;
      ++slots[cell];
    }
  }
  Matrix losses{shape.layers, 2, {}};
  for (std::size_t i = 0; i < cells; ++i)
    losses.values.push_back(static_cast<float>(slots[i] == shape.kvHeads ? sums[i] : kUnknown));
  return losses;
}

}  // namespace kvista
