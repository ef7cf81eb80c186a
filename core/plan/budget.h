// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/plan/allocate.h"
#include "core/plan/cost.h"
#include "core/plan/plan.h"
#include "core/plan/response.h"

namespace kvista {

/// What predictions of the loss start from.
struct LossModel {
  double baseLoss = 0;     ///< Mean nats a token of the uncompressed model; 0: not known.
  bool gradients = false;  ///< The calibration had gradients: eigenvalues in the Fisher metric are nats.
  std::map<Storage, ResponseCurve> response;  ///< Corrections, one curve for each way of storing that was measured.
  bool operator==(const LossModel&) const = default;
};

/// Everything but the groups' spectra that budgets and predictions need. Numbers only, so that a window can follow a
/// hand without asking whoever holds the model.
struct PlanningContext {
  ModelShape shape;
  LossModel loss;
  DeviceProfile device;
  std::int64_t context = 16384;  ///< Cached tokens that decoding's cost is given for.
  int batch = 1;
};

/// A plan and what is known about it before anything is measured.
struct PlannedPlan {
  CompressionPlan plan;
  std::int64_t requestedBytes = 0;
  std::int64_t achievedBytes = 0;
  std::optional<double> predictedLoss;  ///< Rise of the mean loss, nats a token, second order; absent where not known.
  std::optional<double> correctedLoss;  ///< Through the response curve, if there is one.
  double waterline = 0;
  CostModel cost;
  std::string note;  ///< What kept the plan from the request; empty if nothing did.

  /// The corrected prediction, or the raw one where nothing was measured.
  [[nodiscard]] std::optional<double> loss() const { return correctedLoss ? correctedLoss : predictedLoss; }
};

/// exp(base + rise); absent where either is not known.
std::optional<double> predictedPerplexity(const LossModel& model, const std::optional<double>& rise);

/// Widths that directions may have: {0, 16} for lowRank16, {0, 1, 2, 3, 4, 6, 8} for coded, {0, 2, 3, 4, 8} for
/// plainQuantised.
const std::vector<int>& standardWidths(Storage storage);

/// Bytes a token that the target allows; all of the cache for an allowed loss, which is no number of bytes.
std::int64_t budgetBytes(const Target& target, const ModelShape& shape);

/// Targets that make no sense, with the reason: out of range, a kept fraction of numbers that are not 16 bit, an
/// allowed loss where none is predicted. `measuresLoss`: of the plan's metric.
Result<void> checkTarget(const Target& target, Storage storage, bool measuresLoss, const LossModel& loss);

/// Gives every group that is not locked its widths, by the plan's allocator for the plan's target. `units`: one a group
/// of `plan`, in its order; locks and widths are taken from the groups. Plain quantisation has no spectra and is
/// refused.
Result<PlannedPlan> allocateBudget(CompressionPlan plan, std::vector<BudgetUnit> units, const std::vector<int>& widths,
                                   const PlanningContext& context);

/// Bytes, prediction and cost of a plan as it stands. `units` as for allocateBudget; empty where there are no spectra:
/// no prediction then.
PlannedPlan assess(CompressionPlan plan, const std::vector<BudgetUnit>& units, const PlanningContext& context);
/// The same with the second-order prediction already summed up; it is left out where the plan's metric or the
/// calibration make it no loss.
PlannedPlan assessWithLoss(CompressionPlan plan, double predictedLoss, const PlanningContext& context);

}  // namespace kvista
