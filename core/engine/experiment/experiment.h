// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/calibration/token_source.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"
#include "core/policy/policy.h"
#include "core/protocol/records.h"
#include "core/protocol/work_records.h"
#include "core/refine/refine.h"

namespace kvista {

/// One way to make a cache smaller, and what tables call it: a plan, a policy, or a policy on top of a plan.
struct ExperimentSystem {
  std::string name;
  std::optional<PlanWish> plan;
  bool hasOwnTarget = false;  ///< `plan->target` holds whatever the sweep asks for.
  /// Or the share that the plan has by itself at each of the sweep's values, which are those of the whole: the policy
  /// leaves fewer tokens, or more exact ones.
  std::vector<double> planShares = {};
  /// The plan's factors are trained on the calibration's windows; files and key are the subject's.
  std::optional<RefineRequest> refine;
  /// Its share, prompt, interval and model are the sweep's; an option kTrained stands for a file that is made.
  std::optional<PolicyRequest> policy = {};
};

/// Systems that are asked for the same amounts and measured on the same predictions.
struct ExperimentSweep {
  std::string name;
  Target::Kind unit = Target::Kind::share;
  std::vector<double> values;
  std::vector<ExperimentSystem> systems;
  std::int64_t prompt = 0, interval = 0;  ///< Of policies (PolicyRequest).

  /// Windows are read token after token, as policies need it, and the predictions behind the prompt count; otherwise
  /// all do.
  [[nodiscard]] bool isRead() const;
};

/// What is compared: a file that a person writes, see the help page Experiments.
struct Experiment {
  std::string name;
  std::vector<ExperimentSweep> sweeps;
};
/// Unknown fields, names that are not there or there twice, and values out of range are refused, with the place. Error:
/// invalidArgument.
Result<Experiment> experimentFromJson(const nlohmann::json& json);

struct ExperimentText {
  std::string name;
  TokenWindows windows;
};

/// In place of the file that a policy foretells by (PredictorKind): it is trained on the calibration's windows.
inline constexpr std::string_view kTrained = "train";

/// What an experiment is run on.
struct ExperimentSubject {
  const Decoder& decoder;
  std::string modelHash;
  const Statistics& statistics;
  const std::vector<ExperimentText>& texts;  ///< At least one, all of windows of one length.
  std::string version;                       ///< Of the program.
  std::filesystem::path folder;              ///< Where what is trained is kept, by model and calibration.

  /// Tokens of a text's windows.
  [[nodiscard]] std::int64_t window() const { return texts.front().windows.ids.size(1); }
};

/// Is given, after each system at a value, all rows that are known by then, in order and without those to come, and
/// those of them that it was not given before.
using KeepRows =
    std::function<Result<void>(const std::vector<ExperimentRow>& rows, const std::vector<ExperimentRow>& fresh)>;

/// Measures what `known` (rows of an earlier run) does not answer, row by row. What fails becomes a row that says why,
/// and the others go on, as those of other sweeps do where the model as it is cannot be measured; a row that failed
/// earlier is tried again. Several processes with the same arguments share the rows: each takes what is next when it is
/// free, `keep` is told what it measured, and all answer the same in the end. Errors: cancelled, whatever `keep`
/// answers, and device where a member is gone.
Result<std::vector<ExperimentRow>> runExperiment(const Experiment& experiment, const ExperimentSubject& subject,
                                                 const std::vector<ExperimentRow>& known, const KeepRows& keep,
                                                 const Task& task, const ProcessGroup& processes = {});

/// What calibration left of its own texts: behind the windows that it used and those that it held out, on which plans
/// are chosen too.
TextSelection unseenText(const Statistics& statistics);

/// One line a row, with a heading; RFC 4180.
std::string experimentCsv(const std::vector<ExperimentRow>& rows);
/// One table a sweep and text: a line a system, a column a value, perplexities; the best of a column is bold.
std::string experimentMarkdown(const Experiment& experiment, const std::vector<ExperimentRow>& rows);
/// The same tables with a plot of quality and bytes for each, as one HTML page without scripts or other files.
std::string experimentPage(const Experiment& experiment, const std::vector<ExperimentRow>& rows,
                           const ExperimentSubject& subject);

}  // namespace kvista
