// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/plan/budget.h"
#include "core/plan/plan.h"

namespace kvista {

/// One group as the table shows it.
struct BudgetRow {
  int group = 0;  ///< Index in the plan.
  std::vector<Slot> slots;
  int directions = 0;
  int rank = 0;
  std::map<int, int, std::greater<>> bands;  ///< Directions of every width that occurs, widest first.
  std::int64_t bytes = 0;
  double kept = 0;                      ///< Bytes of the group / its bytes in the 16-bit cache.
  std::optional<double> predictedLoss;  ///< Nats a token.
  bool locked = false;
  bool stale = false;  ///< Is being worked out again.
  /// What stands for the layer's own directions, where it has none: "reads layer 2", "numbers of tokens".
  QString instead = {};
};

struct BudgetRecord {
  std::vector<BudgetRow> rows;
  int rankStep = 8;
  Storage storage = Storage::coded;
  Target target;
  std::int64_t requestedBytes = 0, achievedBytes = 0, fullBytes = 0;
  std::optional<double> predictedLoss;                  ///< Of the whole plan, corrected.
  std::optional<double> measuredLoss;                   ///< Of the whole plan: models are measured whole. Nats a token.
  QString note;                                         ///< What kept the plan from its target.
  std::vector<std::pair<QString, QString>> allocators;  ///< (name, summary)
  QString allocator;
  std::vector<QString> devices;
  QString device;
  std::int64_t context = 16384;
};

/// Rows of a plan; `units` as for assess, empty where there are no spectra.
std::vector<BudgetRow> budgetRows(const CompressionPlan& plan, const std::vector<BudgetUnit>& units);
/// Everything of the record that plan and context know.
BudgetRecord budgetRecordOf(const PlannedPlan& planned, const std::vector<BudgetUnit>& units,
                            const PlanningContext& context);

/// A change of ranks as a person types it: "96", "+8", "-8", "+10 %", "50 %" (of the directions).
struct RankChange {
  enum class Kind { set, add, scale, part };
  Kind kind = Kind::set;
  double value = 0;
  /// The rank of a row after it: a multiple of `step` (or all directions) unless it was set to a number, within 0 and
  /// the group's directions.
  [[nodiscard]] int of(const BudgetRow& row, int step) const;
  /// What was asked for, before it is made a rank: perhaps more than the group has directions.
  [[nodiscard]] double asked(const BudgetRow& row) const;
};
/// The reason where it is none.
Result<RankChange> rankChangeFromText(const QString& text);

}  // namespace kvista
