// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "core/compress/measures/measures.h"
#include "core/compress/planner.h"
#include "core/engine/analysis.h"
#include "core/engine/report/report.h"

namespace kvista {
namespace {

/// Weights are needed for pictures only; a report of a model that lies elsewhere now has the numbers all the same.
Result<void> addPictures(Report& report, Workspace& workspace, WorkModel& model, const Task& task) {
  KVISTA_ASSIGN(const auto decoder, workspace.decoder(model, task));
  if (report.project.plan.storage != Storage::plainQuantised) {
    KVISTA_ASSIGN(report.units, decomposeGroups(*decoder, report.statistics.get(), report.project.plan, {}, task));
  }
  if (!report.statistics) return {};
  const std::vector<int> layers = allLayers(decoder->shape());
  KVISTA_ASSIGN(const Measure* measure, findMeasure(report.measure));
  KVISTA_ASSIGN(report.similarities, similaritiesOf(*decoder, *report.statistics, *measure, layers, task));
  KVISTA_ASSIGN(report.spectra, layerSpectraOf(*decoder, *report.statistics, layers, task));
  const FactorSource source{report.project.statistics.string(), report.statistics.get(),
                            report.project.factorsFor(fingerprint(report.project.plan)).string()};
  KVISTA_ASSIGN(const auto transform, workspace.transform(model, source, report.project.plan, task));
  KVISTA_ASSIGN(report.errors, planErrorsOf(*decoder, *report.statistics, report.project.plan, *transform, task));
  return {};
}

/// Opens what the project names. Answers why it stopped, if it did.
Result<void> addModel(Report& report, Workspace& workspace, const Task& task) {
  const Project& project = report.project;
  KVISTA_ASSIGN(const auto model, workspace.model(project.model.string()));
  if (model->hash != project.modelHash)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The model {} has changed since the plan was made.", project.model.string()));
  if (const auto problems = validate(project.plan, model->description.shape); !problems.empty())
    return fail(ErrorCode::invalidArgument, "The plan does not fit the model: " + problems.front());
  report.shape = model->description.shape;
  if (!project.statistics.empty()) {
    KVISTA_ASSIGN(report.statistics, workspace.statistics(project.statistics.string(), *model));
    if (report.statistics->tokensHash != project.tokensHash) {
      report.statistics.reset();
      return fail(
          ErrorCode::invalidArgument,
          fmt::format("The statistics {} are not those that the plan was made from.", project.statistics.string()));
    }
  }
  return addPictures(report, workspace, *model, task);
}

}  // namespace

Result<Report> gatherReport(Project project, std::string name, Workspace& workspace, const Task& task) {
  Report report;
  report.name = std::move(name);
  report.version = workspace.settings().version;
  report.project = std::move(project);
  report.cost = viewedCost(report.project.view);
  report.measure = viewedMeasure(report.project.view);
  if (const auto opened = addModel(report, workspace, task); !opened) {
    if (opened.error().code == ErrorCode::cancelled) return tl::unexpected(opened.error());
    report.gaps.push_back(opened.error().message + " Pictures that need it are left out.");
  }
  if (report.shape) {
    if (const auto device = findDeviceProfile(report.cost.device); !device)
      report.gaps.push_back(device.error().message + " How long decoding takes is left out.");
    else
      report.planned = assess(
          report.project.plan, report.units,
          {*report.shape, lossModelOf(report.statistics.get()), **device, report.cost.context, report.cost.batch});
  }
  return report;
}

Result<std::string> reportOf(Project project, std::string name, Workspace& workspace, const Task& task) {
  KVISTA_ASSIGN(const Report report, gatherReport(std::move(project), std::move(name), workspace, task));
  return reportPage(report);
}

}  // namespace kvista
