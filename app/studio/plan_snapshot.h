// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <vector>

#include "core/plan/plan.h"

namespace kvista {

/// A plan as history keeps it: groups that did not change between two edits are stored once.
class PlanSnapshot {
 public:
  PlanSnapshot() = default;
  /// Shares the groups that `previous` has at the same places.
  PlanSnapshot(const CompressionPlan& plan, const PlanSnapshot& previous);
  [[nodiscard]] CompressionPlan plan() const;
  /// Same settings, same groups.
  bool operator==(const PlanSnapshot& other) const;

 private:
  CompressionPlan settings_;  // Without its groups.
  std::vector<std::shared_ptr<const Group>> groups_;
};

}  // namespace kvista
