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
#include "core/compress/basis.h"
#include "core/compress/factors.h"
#include "core/compress/method.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"
#include "core/plan/budget.h"
#include "core/plan/cost.h"
#include "core/plan/plan.h"

namespace kvista {

struct PlanRequest {
  std::string method = "coded";
  Target target;
  std::optional<int> rankStep;          ///< Absent: the method's.
  std::optional<std::string> grouping;  ///< Absent: the method's.
  std::optional<int> groupSize;
  std::optional<int> minimumRank;  ///< Directions that every group keeps at least, in whole rank steps; absent: none.
  std::optional<int> maximumRank;  ///< Directions that every group keeps at most; absent: all.
  std::optional<std::string> allocator;
  std::optional<Metric> metric;
  double damping = 0;     ///< Of the metric; CompressionPlan::damping.
  bool sinkFree = false;  ///< CompressionPlan::sinkFree; nothing new where the first tokens stay exact.
  bool centred = false;   ///< CompressionPlan::centred.
  /// Fit factors to what the compressed layers before hand on (methods.md section 5), if that helps on held-out text.
  bool compensate = false;
  bool unwhitened = false;      ///< CompressionPlan::unwhitened.
  bool uncalibrated = false;    ///< CompressionPlan::uncalibrated; for methods that calibrate values offline.
  std::vector<int> sharedFrom;  ///< CompressionPlan::sharedFrom; empty: the method's.
  /// Instead of the target, with the allocator head-mean: the smallest cache whose heads lose no more
  /// (core/plan/head_mean.h).
  std::optional<double> eps;
  std::optional<int> chain;            ///< CompressionPlan::chain; absent: the method's.
  std::optional<bool> trellis;         ///< CompressionPlan::trellis; absent: the method's.
  std::optional<bool> tokenNumbers;    ///< CompressionPlan::tokenNumbers; absent: the method's.
  std::optional<std::string> measure;  ///< Similarity that groupings by similarity look at; absent: the method's.
  std::string device = "h200";         ///< Profile that `auto` grouping and the cost model look at.
  std::int64_t context = 16384;
  int batch = 1;
  /// Answer what the groups were decomposed into as well, so that makeFactors need not do it again.
  bool keepBases = false;
  /// Groups, widths of locked groups and locks to keep (from an edited plan file); absent: laid out anew.
  std::optional<CompressionPlan> manual;
};

/// The loss model of a model's statistics; empty without any.
LossModel lossModelOf(const Statistics* statistics);

/// Decomposes the groups of some layers as `plan` needs them: one unit a group of the plan, in its order, empty spectra
/// for the groups of other layers. `layers` empty: all of them. For plans that store latents.
Result<std::vector<BudgetUnit>> decomposeGroups(const Decoder& decoder, const Statistics* statistics,
                                                const CompressionPlan& plan, const std::vector<int>& layers,
                                                const Task& task);

/// A plan with the spectra it was made from, so that its budget can be changed without asking again.
struct PlanWithSpectra {
  PlannedPlan planned;
  std::vector<BudgetUnit> units;  ///< One a group; empty for plain quantisation.
  /// One a group, in float32 on the decoder's device, where they were to be kept and take no more than a quarter of the
  /// memory that is free there; else empty. A group of several processes keeps none.
  std::vector<GroupBasis> bases;
  PlanFactors factors;  ///< Of a compensated plan, which took the calibration text through the model; else empty.
};

/// The frame of the plan that was asked for: every slot alone, nothing stored. Refuses what no statistics can make
/// possible: unknown names, a target out of range or below what the method can store. Error: invalidArgument.
Result<CompressionPlan> draftPlan(const PlanRequest& request, const ModelShape& shape);

/// Groups, spectra, budget, prediction. `statistics` may be null for methods that need weights only.
/// The members of a group of `processes` decompose some of the layers each, and all get the plan.
/// With `compensate` the plan's factors are made both ways and compared on the text that calibration held out; where
/// compensation does not help there by more than the noise, the plan is not compensated and says so in its note.
Result<PlanWithSpectra> makePlan(const Decoder& decoder, const Statistics* statistics, const PlanRequest& request,
                                 const Task& task, const ProcessGroup& processes = {});

/// Refuses centred plans of methods that cannot be. Error: invalidArgument.
Result<void> checkCentred(const CompressionPlan& plan, const Method& method);

/// The linear algebra of a plan, on the decoder's device, from the same statistics; the same input on the same device
/// gives the same numbers. Sequential methods (`recalkv`) and compensated plans take the statistics' own tokens through
/// the decoder again, and hold the residual stream of those tokens twice in main memory. The members of a group of
/// `processes` decompose some of the layers each, except in sequence, and all get the factors. `bases`: of this plan's
/// groups, from makePlan, or empty; what goes in sequence decomposes anew.
Result<PlanFactors> makeFactors(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan,
                                const Task& task, const ProcessGroup& processes = {},
                                const std::vector<GroupBasis>& bases = {});
/// The same of what makePlan answered, without doing again what it has done.
Result<PlanFactors> makeFactors(const Decoder& decoder, const Statistics* statistics, const PlanWithSpectra& made,
                                const Task& task, const ProcessGroup& processes = {});

/// The same from the statistics alone, as if every layer saw the inputs of the model as it is: what plans foresee.
Result<PlanFactors> factorsOfStatistics(const Decoder& decoder, const Statistics* statistics,
                                        const CompressionPlan& plan, const Task& task,
                                        const ProcessGroup& processes = {});

/// Predicted rise of the mean loss, nats a token: half the trace of Fisher blocks times the covariance of the plan's
/// errors (methods.md section 2), codes counted as those of Gaussian latents. Absent for statistics without gradients
/// and for plain quantisation.
Result<std::optional<double>> predictLoss(const Decoder& decoder, const Statistics& statistics,
                                          const CompressionPlan& plan, const PlanFactors& factors, const Task& task);

}  // namespace kvista
