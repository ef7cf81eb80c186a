// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/compress/basis.h"
#include "core/model/decoder.h"
#include "core/plan/budget.h"
#include "core/plan/plan.h"

namespace kvista {

/// Bases of a plan whose layers predict others (predictedFrom), one a group: closed-loop prediction as in differential
/// coding, y_l ~ P_l decoded(y_k) + rest, with P_l the ridge regression of the calibration's sampled tokens on what the
/// widths of the layer that predicts leave of them, and the rest decomposed in the metric as any group (help page
/// Methods, section 10).
Result<std::vector<GroupBasis>> chainedBases(const Decoder& decoder, const Statistics& statistics,
                                             const CompressionPlan& plan, const Task& task);

/// What a layer codes depends on the widths of the layer that predicts it, and widths on what all layers code: in
/// turns, from a plan whose widths are those of layers by themselves. `units` get the spectra of the last turn.
Result<PlannedPlan> allocateChain(const Decoder& decoder, const Statistics& statistics, CompressionPlan plan,
                                  std::vector<BudgetUnit>& units, const PlanningContext& context, const Task& task);

}  // namespace kvista
