// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/compress/factors.h"
#include "core/compress/method.h"
#include "core/model/decoder.h"
#include "core/plan/cost.h"
#include "core/plan/plan.h"

namespace kvista {

struct PlanRequest {
  std::string method = "coded";
  Target target;
  std::optional<int> rankStep;           ///< Absent: the method's.
  std::optional<std::string> grouping;   ///< Absent: the method's.
  std::optional<int> groupSize;
  std::optional<std::string> allocator;
  std::optional<Metric> metric;
  std::string device = "h200";           ///< Profile that `auto` grouping and the cost model look at.
  std::int64_t context = 16384;
  int batch = 1;
  /// Groups, widths of locked groups and locks to keep (from an edited plan file); absent: laid out anew.
  std::optional<CompressionPlan> manual;
};

/// A plan and what is known about it before anything is measured.
struct PlannedPlan {
  CompressionPlan plan;
  std::int64_t requestedBytes = 0;
  std::int64_t achievedBytes = 0;
  std::optional<double> predictedLoss;   ///< Rise of the mean loss, nats a token, second order; absent without gradients.
  std::optional<double> correctedLoss;   ///< Through the response curve, if there is one.
  double waterline = 0;
  CostModel cost;
  std::string note;                      ///< What kept the plan from the request; empty if nothing did.
};

/// Groups, spectra, budget, prediction. `statistics` may be null for methods that need weights only.
Result<PlannedPlan> makePlan(const Decoder& decoder, const Statistics* statistics, const PlanRequest& request, const Task& task);

/// The linear algebra of a plan, on the CPU, from the same statistics; the same input gives the same numbers.
Result<PlanFactors> makeFactors(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan, const Task& task);

/// Predicted rise of the mean loss, nats a token: half the trace of Fisher blocks times the covariance of the plan's errors
/// (methods.md section 2). Absent for statistics without gradients and for plain quantisation.
Result<std::optional<double>> predictLoss(const Decoder& decoder, const Statistics& statistics, const CompressionPlan& plan,
                                          const PlanFactors& factors, const Task& task);

}  // namespace kvista
