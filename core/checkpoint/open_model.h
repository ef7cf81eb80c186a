// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/compress/factors.h"
#include "core/io/checkpoint.h"
#include "core/plan/plan.h"

namespace kvista {

/// A model as our own decoder runs it: for a `latent` export the original architecture, and the plan with the factors
/// that stand between projections and attention; for everything else the checkpoint alone.
struct OpenedModel {
  Checkpoint checkpoint;
  std::optional<CompressionPlan> plan;
  PlanFactors factors;
  std::string policy = {};  ///< recordedPolicy.
};

/// Opens a checkpoint or what `kvista export` wrote. Errors: as openCheckpoint; corruptFile for an export whose
/// configuration, plan (in kvista-report.json) and tensors do not fit together, naming the field or tensor.
Result<OpenedModel> openModel(const std::filesystem::path& path);

/// The same for the opened files of a `latent` export whose plan is known. Projections that were multiplied into the
/// factors appear as [down * W; zeros], and their `down` as [identity, zeros], which computes the same latents.
Result<OpenedModel> openLatent(const Checkpoint& checkpoint, const CompressionPlan& plan);

/// The same for every other form, whose weights hold the whole plan.
Result<OpenedModel> openPlain(Checkpoint checkpoint);

/// The run-time policy that a `latent` export's configuration tells its model code to apply, as the line that
/// `kvista-report.json` has (see policyFromText), with the export itself as the file of a gate, which lies among the
/// weights. Empty: none. The decoder here does not apply it by itself.
std::string recordedPolicy(const Checkpoint& checkpoint);

/// True for a checkpoint in the form `latent`.
bool isLatent(const Checkpoint& checkpoint);

}  // namespace kvista
