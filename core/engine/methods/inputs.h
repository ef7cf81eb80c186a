// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/calibration/token_source.h"
#include "core/engine/method.h"
#include "core/engine/workspace.h"
#include "core/evaluate/under_policy.h"
#include "core/policy/policy.h"
#include "core/protocol/fields.h"

namespace kvista {

/// The parameters that most methods have, opened. Which are there is the method's to say.
struct Inputs {
  std::shared_ptr<WorkModel> model;
  std::string statisticsPath;
  std::shared_ptr<const Statistics> statistics;  ///< Null where `statistics` is absent.
  std::optional<CompressionPlan> plan;           ///< Absent where `plan` is; sound for the model.
  std::string factorsPath;                       ///< Empty where `factors` is absent.

  [[nodiscard]] FactorSource factorSource() const { return {statisticsPath, statistics.get(), factorsPath}; }
};

/// Opens `model` and, where they are given, `statistics` and `plan`. Errors: what opening answers; invalidArgument for
/// a plan that does not fit the model and for one on top of an export's own.
Result<Inputs> openInputs(Call& call, Fields& fields);
/// `statistics` must be given.
Result<Inputs> openInputsWithStatistics(Call& call, Fields& fields);
Result<CompressionPlan> planOf(const Inputs& inputs);

/// `policy`, a line as policyFromText reads it; absent: none.
Result<std::optional<PolicyRequest>> policyOf(Fields& fields);

/// Refuses "-" where standard input carries requests.
Result<void> checkStandardInput(Call& call, const TextSelection& text);
/// The text of a selection as windows of the model's tokens.
Result<TokenWindows> readSelection(Call& call, WorkModel& model, const TextSelection& text);
TextRecipe recipeOf(const TextSelection& text, const DecoderDescription& description);
/// "a.txt, b.txt" for people.
std::string textInWords(const TextSelection& text);

/// Layers that `layers` names, all where it is absent, rising, each once. Errors: one that the model has not.
Result<std::vector<int>> layersOf(Fields& fields, const ModelShape& shape);

/// The inputs' plan as a transform; null where there is none: then the model computes as it is.
Result<std::shared_ptr<const PlanTransform>> transformOf(Call& call, Inputs& inputs);

/// The policy that was asked for over the inputs' plan (`transform`, may be null) or the export's own, or where it does
/// not go with that over the model itself; absent: none was. The model's decoder must be loaded; `transform` and model
/// must outlive it.
Result<std::optional<PolicyUse>> policyUseOf(const std::optional<PolicyRequest>& policy, const Inputs& inputs,
                                             const PlanTransform* transform);
/// Says in an answer what its policy was: `policy`, the line, and `overPlan`.
void notePolicy(nlohmann::json& answer, const std::optional<PolicyUse>& policy);

}  // namespace kvista
