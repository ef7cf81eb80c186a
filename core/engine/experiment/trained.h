// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/compress/factors.h"
#include "core/engine/experiment/experiment.h"
#include "core/plan/predictor_kind.h"

namespace kvista {

/// What the chooser of tokens in a policy's name ("fast-kvzip+fp8") foretells by; nothing where it foretells nothing.
std::optional<PredictorKind> predictorOf(const std::string& policy);

/// The file of a predictor in the subject's folder, trained on at most 32 windows of its calibration if it is not there
/// yet. Errors: those of trainPredictor.
Result<std::filesystem::path> trainedFile(PredictorKind kind, const ExperimentSubject& subject, const Task& task);

/// Factors of `plan` that are trained on the subject's calibration from `factors` on, and kept in its folder: another
/// system with the same plan takes them from there, and a run that was stopped goes on. Errors: those of refine,
/// loadFactors and saveFactors.
Result<PlanFactors> refinedFactors(const CompressionPlan& plan, PlanFactors factors, RefineRequest request,
                                   const ExperimentSubject& subject, const Task& task);

}  // namespace kvista
