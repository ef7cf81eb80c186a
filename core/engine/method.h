// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/protocol/records.h"
#include "core/protocol/work_records.h"

namespace kvista {

class Workspace;

/// One request as its method sees it.
struct Call {
  Workspace& workspace;
  const nlohmann::json& params;
  Task task;  ///< Stops when the request is cancelled; reports go to whoever asked.
  /// Sends progress with more in it than a task knows. False: it came too soon after the last and was not sent.
  std::function<bool(ProgressRecord)> report;
};

/// Where a request is worked on: one at a time, in the order they came, beside other lanes.
enum class Lane {
  reader,   ///< By the loop itself, at once (`cancel`).
  light,    ///< Headers and lists; never waits for a computation.
  compute,  ///< Everything that computes.
};

/// What the engine can be asked; protocol.md describes each.
struct EngineMethod {
  std::string_view name;
  Lane lane = Lane::compute;
  Result<nlohmann::json> (*run)(Call&) = nullptr;  ///< Null for what the loop does itself.
  /// An answer that is there already, so that it need not wait behind a computation; may be null.
  std::optional<nlohmann::json> (*atOnce)(Workspace&, const nlohmann::json& params) = nullptr;
  /// Work that is cancelled answers itself, with what it has by then.
  bool answersWhenStopped = false;
};

const std::vector<EngineMethod>& engineMethods();
/// Null for a name that there is not.
const EngineMethod* findEngineMethod(std::string_view name);

// One function a method, in methods/.
Result<nlohmann::json> hello(Call& call);
Result<nlohmann::json> listChoices(Call& call);
Result<nlohmann::json> open(Call& call);
Result<nlohmann::json> examinePath(Call& call);
Result<nlohmann::json> calibrateModel(Call& call);
Result<nlohmann::json> forecastMemory(Call& call);
Result<nlohmann::json> openStatistics(Call& call);
Result<nlohmann::json> similarity(Call& call);
std::optional<nlohmann::json> similarityAtOnce(Workspace& workspace, const nlohmann::json& params);
Result<nlohmann::json> layerSpectra(Call& call);
std::optional<nlohmann::json> layerSpectraAtOnce(Workspace& workspace, const nlohmann::json& params);
Result<nlohmann::json> makePlanFor(Call& call);
Result<nlohmann::json> decompose(Call& call);
Result<nlohmann::json> planErrors(Call& call);
Result<nlohmann::json> shareLayersFor(Call& call);
Result<nlohmann::json> evaluate(Call& call);
Result<nlohmann::json> evaluatePolicy(Call& call);
Result<nlohmann::json> tokenLosses(Call& call);
Result<nlohmann::json> generate(Call& call);
Result<nlohmann::json> checkPolicyFor(Call& call);
Result<nlohmann::json> retrieval(Call& call);
Result<nlohmann::json> tasks(Call& call);
Result<nlohmann::json> agreement(Call& call);
Result<nlohmann::json> trainPredictorFor(Call& call);
Result<nlohmann::json> ranks(Call& call);
Result<nlohmann::json> keyVariants(Call& call);
Result<nlohmann::json> experiment(Call& call);
Result<nlohmann::json> refinePlan(Call& call);
Result<nlohmann::json> previewExport(Call& call);
Result<nlohmann::json> exportPlan(Call& call);
Result<nlohmann::json> verify(Call& call);
Result<nlohmann::json> report(Call& call);

}  // namespace kvista
