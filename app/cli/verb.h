// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/console.h"
#include "core/base/task.h"
#include "core/io/checkpoint.h"
#include "core/model/description.h"
#include "core/plan/plan.h"

namespace kvista {

/// What a verb is run with and what it was asked to do; `action` is set by the verb that was named.
struct Invocation {
  bool json = false;
  int verbosity = 0;
  bool shares = false;  ///< The verb named shares its work with the other processes that were started along with it.
  std::function<Result<Output>(const Task&)> action;
};

/// Adds a verb `name` with `--json`; `example` ends its help; what `shares` its work can be started several times at
/// once. The caller adds options to the answer and sets `run`.
struct VerbDescription {
  const char* name;
  const char* summary;
  const char* example;
  bool shares = false;
};

/// Options of a verb live in a value of its own; `run` gets it when the verb was named.
template <class Options>
CLI::App* addVerb(CLI::App& app, Invocation& invocation, const VerbDescription& description,
                  std::shared_ptr<Options> options, Result<Output> (*run)(const Options&, const Task&)) {
  CLI::App* verb = app.add_subcommand(description.name, description.summary);
  verb->footer(std::string("Example:\n  ") + description.example);
  verb->add_flag("--json", invocation.json, "Print the result as JSON on standard output");
  verb->callback([&invocation, options, run, shares = description.shares] {
    invocation.shares = shares;
    invocation.action = [options, run](const Task& task) { return run(*options, task); };
  });
  return verb;
}

// One function a file in verbs/.
/// Looks through the weights of a checkpoint; answers sentences about what is wrong with them.
using WeightScan = Result<std::vector<std::string>> (*)(const Checkpoint&, const DecoderDescription&, const Task&);
/// A checkpoint as its architecture is described; of an export of ours that of the original, and the plan.
struct InspectedModel {
  Checkpoint checkpoint;
  std::optional<CompressionPlan> plan;
};
using ModelOpener = Result<InspectedModel> (*)(const std::filesystem::path&);
/// `scan`, `open`: null in the program that has no libtorch, which opens no exports.
void addInspect(CLI::App& app, Invocation& invocation, WeightScan scan, ModelOpener open);
void addHelp(CLI::App& app, Invocation& invocation);
void addTokenize(CLI::App& app, Invocation& invocation);
void addForward(CLI::App& app, Invocation& invocation);
void addCalibrate(CLI::App& app, Invocation& invocation);
void addMerge(CLI::App& app, Invocation& invocation);
void addSimilarity(CLI::App& app, Invocation& invocation);
void addSharing(CLI::App& app, Invocation& invocation);
void addPlan(CLI::App& app, Invocation& invocation);
void addEvaluate(CLI::App& app, Invocation& invocation);
void addRefine(CLI::App& app, Invocation& invocation);
void addExport(CLI::App& app, Invocation& invocation);
void addVerify(CLI::App& app, Invocation& invocation);
void addCompare(CLI::App& app, Invocation& invocation);
void addCompress(CLI::App& app, Invocation& invocation);
void addList(CLI::App& app, Invocation& invocation);
void addGenerate(CLI::App& app, Invocation& invocation);
void addLosses(CLI::App& app, Invocation& invocation);
void addRetrieval(CLI::App& app, Invocation& invocation);
void addGate(CLI::App& app, Invocation& invocation);
void addTasks(CLI::App& app, Invocation& invocation);
void addAgreement(CLI::App& app, Invocation& invocation);
void addErrors(CLI::App& app, Invocation& invocation);
void addSpectra(CLI::App& app, Invocation& invocation);
void addReport(CLI::App& app, Invocation& invocation);
void addExperiment(CLI::App& app, Invocation& invocation);
void addMakeModel(CLI::App& app, Invocation& invocation);
void addBench(CLI::App& app, Invocation& invocation);
/// Parts of `bench`, added to its verb.
void addBenchDecode(CLI::App& bench, Invocation& invocation);
void addBenchCalibrate(CLI::App& bench, Invocation& invocation);
void addEngine(CLI::App& app, Invocation& invocation);

/// One thing that `doctor` looked for.
struct DoctorCheck {
  std::string name;
  bool present = false;
  std::string found;   ///< What there is, or what is wrong.
  std::string remedy;  ///< How to get it, where it is missing.
  bool optional = false;
};
using DoctorChecks = std::vector<DoctorCheck> (*)();
void addDoctor(CLI::App& app, Invocation& invocation, DoctorChecks checks);
/// What arithmetic needs: libtorch, cores, memory, GPU. Only in `kvista-compute`.
std::vector<DoctorCheck> computeChecks();
/// All that belongs to an installation; asks `kvista-compute` for its part, so that it also answers where that cannot
/// start. Only in `kvista`.
std::vector<DoctorCheck> installationChecks();

}  // namespace kvista
