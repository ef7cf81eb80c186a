// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "app/cli/model.h"
#include "app/cli/output_file.h"
#include "app/cli/plan_text.h"
#include "app/cli/verb.h"
#include "core/compress/planner.h"
#include "core/plan/head_mean.h"

namespace kvista {
namespace {

struct Options {
  std::string model;
  std::string statistics;
  std::string output;
  std::string edited;
  PlanSettings plan;
  ComputeSettings compute;
};

Result<Output> run(const Options& options, const Task& task) {
  KVISTA_ASSIGN(PlanRequest request, requestOf(options.plan, Target{Target::Kind::share, 0.125}));
  KVISTA_CHECK(checkOutputFile(options.output, {options.model, options.statistics}));
  KVISTA_ASSIGN(const ProcessGroup processes, joinProcesses(options.compute));
  KVISTA_ASSIGN(const LoadedModel model, loadModel(options.model, options.compute, task));
  Project project;
  project.model = std::filesystem::absolute(options.model).lexically_normal();
  KVISTA_ASSIGN(project.modelHash, contentHash(model.checkpoint));
  std::optional<Statistics> statistics;
  if (!options.statistics.empty()) {
    KVISTA_ASSIGN(statistics, loadStatistics(options.statistics));
    if (statistics->modelHash != project.modelHash)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The statistics {} are of another model (content {} where {} was expected).",
                              options.statistics, statistics->modelHash, project.modelHash),
                  "Calibrate this model.");
    project.statistics = std::filesystem::absolute(options.statistics).lexically_normal();
    project.tokensHash = statistics->tokensHash;
    project.baseLoss = statistics->baseLoss();
  }
  if (!options.edited.empty()) {
    KVISTA_ASSIGN(Project edited, loadProject(options.edited));
    request.manual = std::move(edited.plan);
  }
  KVISTA_ASSIGN(const PlanWithSpectra made,
                makePlan(*model.decoder, statistics ? &*statistics : nullptr, request, task, processes));
  const PlannedPlan& planned = made.planned;
  project.plan = planned.plan;
  project.requestedBytes = planned.requestedBytes;
  project.predictedLoss = planned.predictedLoss;
  project.correctedLoss = planned.correctedLoss;
  if (const CostSettings cost{request.device, request.context, request.batch}; cost != viewedCost({}))
    project.view["cost"] = {{"device", cost.device}, {"context", cost.context}, {"batch", cost.batch}};
  if (processes.isFirst()) KVISTA_CHECK(saveProject(options.output, project));

  Output output = describePlan(planned, model.decoder->shape(), project.baseLoss, request.device);
  if (const auto eps = planned.plan.allocator == "head-mean" ? reachedEps(planned.plan, made.units) : std::nullopt) {
    output.json["eps"] = *eps;
    output.text +=
        fmt::format("eps reached {:.4f}: heads of a layer's side lose at most {:.4f} % of their energy in the mean\n",
                    *eps, *eps * *eps * 100);
  }
  output.json["project"] = options.output;
  output.text += fmt::format("The plan is in {}.\n", options.output);
  return output;
}

}  // namespace

void addPlan(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"plan", "Decide groups, ranks and bits for a target, and predict the loss",
               "kvista plan resources/demo/model --stats demo.kvstats --times-smaller 8 -o demo.kvista", true},
              options, run);
  verb->add_option("model", options->model, "Checkpoint")->required();
  verb->add_option("--stats", options->statistics,
                   "Statistics of `kvista calibrate` (methods of weights alone need none)");
  verb->add_option("-o,--output", options->output, "Project file to write")->required();
  verb->add_option("--groups-of", options->edited,
                   "Take groups and locks from this project instead of laying them out anew");
  addPlanOptions(verb, options->plan);
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
