// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/plan/allocate.h"
#include "core/plan/budget.h"
#include "core/plan/ladder.h"

namespace kvista {

/// What the allocator `waterline` does at every level of the water, worked out once: a hand can then move the level and
/// have bytes, loss and widths at once. A level is Allocation::waterline: every block whose gain a bit (for widths {0,
/// b} its mean eigenvalue) is above it has its bits. The widths are those that the allocator gives for the bytes of
/// that level; only where codes are padded to whole bytes may it fit a few bits more into the padding. A plain value
/// without the spectra: make it on any thread, hand it over, copy it.
class WaterlineTable {
 public:
  /// Nothing to share out: no bytes, no loss.
  WaterlineTable() = default;
  /// Sorts every step of every block (262,144 directions one by one: about a quarter of a second). Refuses what
  /// allocators refuse; `request.budgetBytes` is ignored.
  static Result<WaterlineTable> make(const AllocationRequest& request);

  [[nodiscard]] std::int64_t bytesAt(double level) const { return bytes_[stepsAbove(level)]; }
  /// Nats a token when the spectra are in the Fisher metric, as Allocation::predictedLoss.
  [[nodiscard]] double predictedLossAt(double level) const { return losses_[stepsAbove(level)]; }
  /// Widths of every unit in the request's order; locked ones as they are. Memory of `widths` is used again.
  void widthsAt(double level, std::vector<std::vector<std::uint8_t>>& widths) const;

  /// The lowest level that costs at most `bytes` a token; the highest one where locks and smallest ranks alone cost
  /// more.
  [[nodiscard]] double levelForBytes(std::int64_t bytes) const;
  /// The highest level that loses at most `predictedLoss` nats a token; 0 where every level loses more.
  [[nodiscard]] double levelForLoss(double predictedLoss) const;
  /// From here up nothing above the smallest ranks gets bits.
  [[nodiscard]] double highestLevel() const { return levels_.empty() ? 0 : levels_.front(); }
  /// Below this everything that helps has its bits.
  [[nodiscard]] double lowestLevel() const { return levels_.empty() ? 0 : levels_.back(); }

 private:
  [[nodiscard]] std::size_t stepsAbove(double level) const;

  struct Unit {
    std::uint32_t directions = 0;
    std::vector<std::uint8_t> lockedWidths;  // Of a locked unit: as many as directions.
  };
  std::vector<Unit> units_;
  Ladder ladder_;                          // Its gains replaced by levels.
  std::vector<double> levels_;             // Of all steps, falling.
  std::vector<std::int64_t> bytes_ = {0};  // With the first n steps taken.
  std::vector<std::int64_t> fewest_ = {
      0};  // The smallest of these from n on: padding can make a step cost less than nothing.
  std::vector<double> losses_ = {0};  // With the first n steps taken.
};

/// `plan` with the widths of the water at `level`, and what is known about it then. The table is of the plan's groups,
/// in their order.
PlannedPlan planAt(const WaterlineTable& table, double level, CompressionPlan plan, const PlanningContext& context);

}  // namespace kvista
