// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "core/compress/measures/measures.h"
#include "core/compress/planner.h"
#include "core/engine/report/report.h"
#include "core/io/atomic_file.h"

namespace kvista {
namespace {

/// Weights are needed for pictures only; a report of a model that lies elsewhere now has the numbers all the same.
Result<void> addPictures(Report& report, Workspace& workspace, WorkModel& model, const Task& task) {
  KVISTA_ASSIGN(const auto decoder, workspace.decoder(model, task));
  if (report.project.plan.storage != Storage::plainQuantised) {
    KVISTA_ASSIGN(report.units, decomposeGroups(*decoder, report.statistics.get(), report.project.plan, {}, task));
  }
  if (!report.statistics) return {};
  KVISTA_ASSIGN(const Measure* cka, findMeasure("cka"));
  for (int layer = 0; layer < decoder->shape().layers; ++layer)
    for (const Side side : {Side::key, Side::value}) {
      KVISTA_CHECK(task.checkStop());
      KVISTA_ASSIGN(const at::Tensor similarity, cka->similarity({*decoder, *report.statistics, layer, side}));
      const at::Tensor numbers = similarity.to(at::kFloat).contiguous();
      const float* begin = numbers.const_data_ptr<float>();
      const int heads = static_cast<int>(numbers.size(0));
      report.similarities.push_back({layer, side, {heads, heads, {begin, begin + numbers.numel()}}});
    }
  return {};
}

/// Opens what the project names. Answers why it stopped, if it did.
Result<void> addModel(Report& report, Workspace& workspace, const Task& task) {
  const Project& project = report.project;
  KVISTA_ASSIGN(const auto model, workspace.model(project.model.string()));
  if (model->hash != project.modelHash)
    return fail(ErrorCode::invalidArgument, fmt::format("The model {} has changed since the plan was made.", project.model.string()));
  if (const auto problems = validate(project.plan, model->description.shape); !problems.empty())
    return fail(ErrorCode::invalidArgument, "The plan does not fit the model: " + problems.front());
  report.shape = model->description.shape;
  if (!project.statistics.empty()) {
    KVISTA_ASSIGN(report.statistics, workspace.statistics(project.statistics.string(), *model));
    if (report.statistics->tokensHash != project.tokensHash) {
      report.statistics.reset();
      return fail(ErrorCode::invalidArgument, fmt::format("The statistics {} are not those that the plan was made from.", project.statistics.string()));
    }
  }
  return addPictures(report, workspace, *model, task);
}

}  // namespace

Result<Report> gatherReport(const std::filesystem::path& project, Workspace& workspace, const Task& task) {
  Report report;
  report.name = project.stem().string();
  report.version = workspace.settings().version;
  KVISTA_ASSIGN(report.project, loadProject(project));
  if (const auto opened = addModel(report, workspace, task); !opened) {
    if (opened.error().code == ErrorCode::cancelled) return tl::unexpected(opened.error());
    report.gaps.push_back(opened.error().message + " Pictures that need it are left out.");
  }
  if (report.shape) {
    KVISTA_ASSIGN(const DeviceProfile* device, findDeviceProfile("h200"));
    report.planned = assess(report.project.plan, report.units, {*report.shape, lossModelOf(report.statistics.get()), *device, 16384, 1});
  }
  return report;
}

Result<std::string> writeReport(const std::filesystem::path& project, const std::filesystem::path& output, Workspace& workspace,
                                const Task& task) {
  KVISTA_ASSIGN(const Report report, gatherReport(project, workspace, task));
  std::string page = reportPage(report);
  if (!output.empty()) KVISTA_CHECK(writeFileAtomically(output, page));
  return page;
}

}  // namespace kvista
