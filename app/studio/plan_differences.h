// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <vector>

#include "core/plan/plan.h"

namespace kvista {

/// One thing that two plans have differently, in words; "—" where one of them does not have it.
struct PlanDifference {
  QString what, before, after;
  bool operator==(const PlanDifference&) const = default;
};

/// What became of a plan: its settings and bytes first, then every group that has other bits, was locked or unlocked,
/// is new or gone, by layer. Groups are the same where their heads are. Empty for equal plans.
std::vector<PlanDifference> differencesOf(const CompressionPlan& before, const CompressionPlan& after);

}  // namespace kvista
