// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/compress/factors.h"
#include "core/distributed/process_group.h"
#include "core/plan/allocate.h"
#include "core/plan/plan.h"
#include "core/plan/shape.h"

namespace kvista {

/// Groups with their spectra, as the allocators want them.
struct LaidOut {
  std::vector<Group> groups;
  std::vector<BudgetUnit> units;
};

/// Each of `processes` has laid out its share of the layers; afterwards all have those of all layers, in their order.
Result<void> exchangeGroups(LaidOut& own, const ProcessGroup& processes, const Task& task);

/// Each of `processes` has filled in the factors of its share of the layers; afterwards all have all of them.
Result<void> exchangeFactors(const CompressionPlan& plan, const ModelShape& shape, PlanFactors& factors,
                             const ProcessGroup& processes, const Task& task);

}  // namespace kvista
