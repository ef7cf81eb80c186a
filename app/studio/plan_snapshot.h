// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/plan/plan.h"

namespace kvista {

/// A plan as history keeps it, in a tenth of its size: widths as runs, and the groups' heads shared with the step
/// before where they are the same.
class PlanSnapshot {
 public:
  PlanSnapshot() = default;
  PlanSnapshot(const CompressionPlan& plan, const PlanSnapshot& previous);
  [[nodiscard]] CompressionPlan plan() const;
  /// Whether both are of equal plans.
  bool operator==(const PlanSnapshot& other) const;

 private:
  struct Outline {
    std::vector<Slot> slots;
    std::size_t directions = 0;
    bool locked = false;
    bool operator==(const Outline&) const = default;
  };
  CompressionPlan settings_;  // Without its groups.
  std::shared_ptr<const std::vector<Outline>> outlines_;
  // Of the widths of all groups one after the other: width, then the number of directions, 7 bits a byte.
  std::string runs_;
};

}  // namespace kvista
