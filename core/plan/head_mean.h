// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/plan/allocate.h"
#include "core/plan/plan.h"

namespace kvista {

/// The eps of KQ-SVD's rank rule (methods.md section 6) that a plan has come to: eps^2 is the largest, over sides of
/// layers, mean over heads of the part of their energy that their groups lose. Of groups that are not locked; absent
/// where all are. `units`: one a group.
std::optional<double> reachedEps(const CompressionPlan& plan, const std::vector<BudgetUnit>& units);

/// Bytes a token at which the allocator head-mean gives all heads of a layer's side the smallest rank, in whole steps,
/// that loses no more than eps^2; `request.budgetBytes` is ignored. Given to it, just these ranks come of them. Error:
/// invalidArgument unless 0 < eps < 1.
Result<std::int64_t> bytesForEps(const AllocationRequest& request, double eps);

}  // namespace kvista
