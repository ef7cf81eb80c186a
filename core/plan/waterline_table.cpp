// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/waterline_table.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "core/plan/plan.h"

namespace kvista {

namespace {

struct Step {
  double level;
  std::uint32_t block;
  std::uint32_t index;  // Into the ladder.
};

/// As the allocator takes them: by falling gain, of equal ones the block that comes first.
std::vector<Step> sortedSteps(const Ladder& ladder) {
  std::vector<Step> steps;
  steps.reserve(ladder.gains.size());
  for (std::uint32_t b = 0; b < ladder.blocks.size(); ++b)
    for (std::uint32_t s = ladder.blocks[b].nextStep; s < ladder.blocks[b].lastStep; ++s)
      steps.push_back({ladder.gains[s], b, s});
  std::sort(steps.begin(), steps.end(),
            [](const Step& a, const Step& b) { return a.level != b.level ? a.level > b.level : a.index < b.index; });
  return steps;
}

}  // namespace

Result<WaterlineTable> WaterlineTable::make(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  WaterlineTable table;
  table.ladder_ = ladderOf(request);
  Ladder& ladder = table.ladder_;
  Ledger ledger(request.units);
  for (const Block& block : ladder.blocks) ledger.add(block);
  std::vector<Block> blocks = ladder.blocks;
  for (double& gain : ladder.gains) gain = levelOfGain(gain, request.allowedWidths);

  const std::vector<Step> steps = sortedSteps(ladder);
  const std::size_t count = steps.size();
  std::vector<double> saved(count), losses(count + 1);
  std::vector<std::int64_t> bytes(count + 1, ledger.bytes());
  table.levels_.resize(count);
  const double gainOfLevel = 1 / levelOfGain(1, request.allowedWidths);
  for (std::size_t i = 0; i < count; ++i) {
    Block& block = blocks[steps[i].block];
    const std::uint8_t width = ladder.widths[steps[i].index];
    table.levels_[i] = steps[i].level;
    saved[i] = steps[i].level * gainOfLevel * (width - block.width) * block.count / 2;
    ledger.move(block, width);
    bytes[i + 1] = ledger.bytes();
  }

  // From the end, where little is lost: small numbers are added first and nothing cancels.
  std::vector<std::vector<std::uint8_t>> widths;
  for (const BudgetUnit& unit : request.units)
    table.units_.push_back({static_cast<std::uint32_t>(unit.spectrum.eigenvalues.size()),
                            unit.locked ? unit.widths : std::vector<std::uint8_t>{}});
  table.widthsAt(0, widths);
  for (std::size_t i = 0; i < widths.size(); ++i) losses[count] += predictedLoss(request.units[i].spectrum, widths[i]);
  for (std::size_t i = count; i > 0; --i) losses[i - 1] = losses[i] + saved[i - 1];

  table.losses_ = std::move(losses);
  table.fewest_ = bytes;
  table.bytes_ = std::move(bytes);
  for (std::size_t i = count; i > 0; --i) table.fewest_[i - 1] = std::min(table.fewest_[i - 1], table.fewest_[i]);
  return table;
}

std::size_t WaterlineTable::stepsAbove(double level) const {
  const auto end = std::partition_point(levels_.begin(), levels_.end(), [&](double each) { return each > level; });
  return static_cast<std::size_t>(end - levels_.begin());
}

void WaterlineTable::widthsAt(double level, std::vector<std::vector<std::uint8_t>>& widths) const {
  widths.resize(units_.size());
  for (std::size_t i = 0; i < units_.size(); ++i) {
    if (units_[i].lockedWidths.empty())
      widths[i].assign(units_[i].directions, 0);
    else
      widths[i] = units_[i].lockedWidths;
  }
  for (const Block& block : ladder_.blocks) {
    std::uint8_t width = block.width;
    for (std::uint32_t s = block.nextStep; s < block.lastStep && ladder_.gains[s] > level; ++s)
      width = ladder_.widths[s];
    std::fill_n(widths[block.unit].begin() + block.first, block.count, width);
  }
}

double WaterlineTable::levelForBytes(std::int64_t bytes) const {
  const auto beyond =
      std::partition_point(fewest_.begin(), fewest_.end(), [&](std::int64_t each) { return each <= bytes; });
  std::size_t taken = beyond == fewest_.begin() ? 0 : static_cast<std::size_t>(beyond - fewest_.begin()) - 1;
  if (taken == levels_.size()) return 0;
  // Steps of one level are taken together or not at all.
  double level = levels_[taken];
  for (taken = stepsAbove(level); taken > 0 && bytes_[taken] > bytes; taken = stepsAbove(level))
    level = levels_[taken - 1];
  return level;
}

double WaterlineTable::levelForLoss(double predictedLoss) const {
  const auto enough =
      std::partition_point(losses_.begin(), losses_.end(), [&](double each) { return each > predictedLoss; });
  if (enough == losses_.end()) return 0;
  if (enough == losses_.begin()) return highestLevel();
  // The next lower level leaves out what lies at it and takes everything before.
  const double last = levels_[static_cast<std::size_t>(enough - losses_.begin()) - 1];
  const auto next = std::partition_point(levels_.begin(), levels_.end(), [&](double each) { return each >= last; });
  return next == levels_.end() ? 0 : *next;
}

PlannedPlan planAt(const WaterlineTable& table, double level, CompressionPlan plan, const PlanningContext& context) {
  std::vector<std::vector<std::uint8_t>> widths;
  table.widthsAt(level, widths);
  for (std::size_t i = 0; i < plan.groups.size() && i < widths.size(); ++i)
    plan.groups[i].widths = std::move(widths[i]);
  PlannedPlan planned = assessWithLoss(std::move(plan), table.predictedLossAt(level), context);
  planned.waterline = level;
  return planned;
}

}  // namespace kvista
