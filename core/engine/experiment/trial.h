// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/engine/experiment/experiment.h"
#include "core/plan/predictor_kind.h"

namespace kvista {

/// One system at one value: what is to be measured, whatever the text. Without plan and policy: the model as it is.
struct Trial {
  std::optional<PlanWish> plan;
  std::optional<RefineRequest> refine;
  /// Where the sweep is read token after token: also one that leaves everything as it is.
  std::optional<PolicyRequest> policy;
};

/// The model as it is on the predictions of a sweep.
Trial trialOfOriginal(const ExperimentSweep& sweep);
/// `index`: of the sweep's values.
Trial trialAt(const ExperimentSweep& sweep, const ExperimentSystem& system, std::size_t index,
              const ExperimentSubject& subject);

/// What the policy foretells by, if that is trained on the calibration's text; nothing otherwise.
std::optional<PredictorKind> trainedPredictor(const Trial& trial);

/// All that the trial's figures on `text` depend on (ExperimentRow::of).
std::string keyOf(const Trial& trial, const ExperimentSubject& subject, const ExperimentText& text);

/// What a plan came to before it was measured on any text.
struct MadePlan {
  PlannedPlan planned;
  std::unique_ptr<PlanTransform> transform;
  double seconds = 0;
};
/// Of a trial with a plan. Errors: those of makePlan, makeFactors and refine.
Result<MadePlan> makePlanOf(const Trial& trial, const ExperimentSubject& subject, const Task& task);

/// `plan`: null where the trial has none. Without what compares them with the original. Errors: those of measurePolicy
/// and measurePerplexity.
Result<ExperimentRow::Figures> measured(const Trial& trial, const MadePlan* plan, const ExperimentSubject& subject,
                                        const ExperimentText& text, const Task& task);

}  // namespace kvista
