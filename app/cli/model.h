// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/calibration/token_source.h"
#include "core/compress/factors.h"
#include "core/compress/plan_transform.h"
#include "core/distributed/process_group.h"
#include "core/evaluate/under_policy.h"
#include "core/io/checkpoint.h"
#include "core/io/project.h"
#include "core/model/decoder.h"

namespace kvista {

/// Where and how to compute, as options of a verb.
struct ComputeSettings {
  std::string device = "cpu";
  std::string dtype = "float32";
  int threads = 0;
  bool streamLayers = false;                  ///< ComputeOptions::streamLayers.
  std::optional<std::int64_t> keptMegabytes;  ///< ComputeOptions::activationBudgetBytes, for passes with gradients.
};
/// The processes that share a verb's work; to be called once, and before the model is loaded. Where they are several,
/// only the first writes files and speaks.
Result<ProcessGroup> joinProcesses(const ComputeSettings& settings);
/// With the device and the threads of this process, where several share a host.
Result<ComputeSettings> ownSettings(ComputeSettings settings);
/// Also `--keep-activations`, for verbs that take gradients.
void addGradientOptions(CLI::App* verb, ComputeSettings& settings);
void addComputeOptions(CLI::App* verb, ComputeSettings& settings);

/// `--policy` of a verb that measures a model, or a plan, once more under a run-time policy; see askedPolicy.
void addPolicyOption(CLI::App* verb, std::string& line);
/// What `--policy` that means nothing is: also not what an export records.
inline constexpr std::string_view kNoPolicy = "none";
/// The policy that a subject is measured under: what `--policy` says, nothing for kNoPolicy; where it says nothing
/// (empty), that which the subject's export records (may be empty), which one line on standard error says then.
std::string askedPolicy(const std::string& line, const std::string& recorded);
/// The request of such a line (policyFromText); absent for an empty one and kNoPolicy.
Result<std::optional<PolicyRequest>> requestOf(const std::string& line);

struct LoadedModel {
  Checkpoint checkpoint;
  std::shared_ptr<const Decoder> decoder;
};
Result<LoadedModel> loadModel(const std::string& path, const ComputeSettings& settings, const Task& task);

/// Text options of a verb that reads tokens.
struct TextSettings {
  TextRecipe recipe;
  std::int64_t tokens = 0;
  std::int64_t windows = 0;
  std::int64_t seed = -1;
};
void addTextOptions(CLI::App* verb, TextSettings& settings, bool required = true);
/// Reads the text with the model's tokenizer; fills in the window where none was given.
Result<TokenWindows> readText(const LoadedModel& model, TextSettings settings, const Task& task,
                              const ProcessGroup& processes = {});
/// The recipe with the window that readText uses.
TextRecipe completedRecipe(const LoadedModel& model, const TextSettings& settings);

/// A model, a project (model and plan) or an exported checkpoint, ready to be run.
struct Subject {
  LoadedModel model;
  std::optional<Project> project;
  std::optional<CompressionPlan> plan;
  std::unique_ptr<PlanTransform> transform;  ///< Null for a model as it is.
  std::string recordedPolicy = {};           ///< Of an export, see core/checkpoint/open_model.h.
};
Result<Subject> openSubject(const std::string& path, const ComputeSettings& settings, const Task& task,
                            const ProcessGroup& processes = {});

/// One of the ways that a subject computes, as measures put them beside each other.
struct SubjectSide {
  const char* name;  ///< "original", "plan" or "policy".
  CacheUse cache;
};
/// The original and the plan of a project; the one that there is of anything else; then what a policy makes of the
/// last, where there is one.
std::vector<SubjectSide> sidesOf(const Subject& subject, const std::optional<PolicyUse>& policy = {});

/// The policy that a subject is measured under (askedPolicy) over what it stores, or over the model itself where it
/// does not go with that (policyOver); absent where there is none.
Result<std::optional<PolicyUse>> policyOf(const Subject& subject, const std::string& line);
/// "plan under snapkv share=.25"
std::string titleOf(const PolicyUse& policy);

/// Refuses a model or statistics that are not those a project's plan was made for. `statistics`: null without any.
Result<void> checkProjectParts(const Project& project, const std::string& modelHash, const Statistics* statistics);

/// The file of refined factors that hold for the project's plan; empty, with a warning where there are some of another
/// plan.
std::filesystem::path factorsOf(const Project& project);

/// Statistics and factors of a project, content hashes checked against its model.
struct ProjectParts {
  LoadedModel model;
  std::optional<Statistics> statistics;
  PlanFactors factors;
};
/// `file`: the project's own, for messages.
Result<ProjectParts> openProjectParts(const Project& project, const std::string& file, const ComputeSettings& settings,
                                      const Task& task, const ProcessGroup& processes = {});

}  // namespace kvista
