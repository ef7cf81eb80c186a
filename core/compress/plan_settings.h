// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>

#include "core/base/error.h"
#include "core/calibration/statistics.h"
#include "core/compress/method.h"
#include "core/compress/planner.h"
#include "core/model/decoder.h"
#include "core/plan/shape.h"

namespace kvista {

/// The method with a request's changes put in.
struct PlanSettings {
  Method method;
  int rankStep = 8;
  int minimumRank = 0;
  int maximumRank = std::numeric_limits<int>::max();
};

/// Errors (invalidArgument): an unknown method, numbers that are out of range.
Result<PlanSettings> settingsOf(const PlanRequest& request, const ModelShape& shape);

/// Whole heads: how many share one, and the ranks that follow. Heads that are left over would make groups of another
/// size.
Result<void> boundHeads(const Target& target, const ModelShape& shape, PlanSettings& settings);

/// Refuses statistics that the method lacks or that are of another model. Error: invalidArgument.
Result<void> checkStatistics(const Decoder& decoder, const Statistics* statistics, const Method& method);

}  // namespace kvista
