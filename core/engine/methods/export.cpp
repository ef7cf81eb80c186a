// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// previewExport, export, verify, report: what a plan becomes on disk.
#include <fmt/format.h>

#include "core/checkpoint/export_checkpoint.h"
#include "core/checkpoint/export_form.h"
#include "core/checkpoint/gguf/content.h"
#include "core/checkpoint/verify_export.h"
#include "core/compress/factor_file.h"
#include "core/compress/planner.h"
#include "core/engine/memory_forecast.h"
#include "core/engine/methods/inputs.h"
#include "core/engine/report/report.h"
#include "core/io/atomic_file.h"
#include "core/model/device.h"
#include "core/plan/budget.h"

namespace kvista {
namespace {

Result<ExportPlace> placeOf(Fields& fields) {
  ExportPlace place;
  if (fields.has("form")) place.form = fields.text("form");
  if (fields.has("container")) {
    static constexpr std::array kContainers = {Named{"safetensors", Container::safetensors},
                                               Named{"gguf", Container::gguf}};
    place.container = fields.choice("container", kContainers);
  }
  static constexpr std::array kTypes = {Named{"float32", DataType::f32}, Named{"bfloat16", DataType::bf16},
                                        Named{"float16", DataType::f16}};
  if (fields.has("weightDtype")) place.weightType = fields.choice("weightDtype", kTypes);
  if (fields.has("shardBytes")) place.shardBytes = static_cast<std::uint64_t>(fields.integer("shardBytes", 1));
  if (fields.has("dtype")) {
    place.dtype = fields.choice("dtype", kTypes);
    if (place.dtype == DataType::f32) place.dtype.reset();  // what a form writes by itself
  }
  place.target = fields.text("target");
  place.overwrite = fields.has("overwrite") && fields.boolean("overwrite");
  KVISTA_ASSIGN(place.policy, policyOf(fields));
  return place;
}

Result<void> checkOriginal(const WorkModel& model) {
  if (!model.plan) return {};
  return fail(ErrorCode::invalidArgument, fmt::format("{} is an export already.", model.checkpoint.path.string()),
              "Give the original model.");
}

}  // namespace

Result<nlohmann::json> previewExport(Call& call) {
  Fields fields(call.params, "the parameters of previewExport");
  KVISTA_ASSIGN(const ExportPlace place, placeOf(fields));
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  KVISTA_CHECK(checkOriginal(*inputs.model));
  KVISTA_ASSIGN(const CompressionPlan plan, planOf(inputs));
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(place.form));
  KVISTA_ASSIGN(ExportForecast forecast,
                forecastExport({inputs.model->checkpoint, inputs.model->description, plan, place}));
  return toJson(ExportPreview{place.form, place.target.string(), forecast.tensorsChanged, forecast.tensorsCarried,
                              static_cast<std::int64_t>(forecast.bytesBefore),
                              static_cast<std::int64_t>(forecast.bytesAfter),
                              inputs.model->description.shape.cacheBytesPerToken(), forecast.bytesPerToken,
                              static_cast<std::int64_t>(forecast.freeBytes),
                              std::string(place.container == Container::gguf ? kGgufRunsIn : form->runsIn),
                              std::move(forecast.notes), std::move(forecast.problems)});
}

Result<nlohmann::json> exportPlan(Call& call) {
  Fields fields(call.params, "the parameters of export");
  KVISTA_ASSIGN(const ExportPlace place, placeOf(fields));
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  KVISTA_CHECK(checkOriginal(*inputs.model));
  KVISTA_ASSIGN(const CompressionPlan plan, planOf(inputs));
  KVISTA_CHECK(checkMemory(planBytes(plan, inputs.model->description.shape), c10::kCPU, "The plan's factors"));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  KVISTA_ASSIGN(const PlanFactors factors, factorsOfPlan(*decoder, inputs.statistics.get(), plan, inputs.factorsPath,
                                                         inputs.model->hash, call.task));
  ExportRequest request{inputs.model->checkpoint, *decoder, plan, factors};
  request.extra = {{"requestedBytesPerToken", budgetBytes(plan.target, decoder->shape())}};
  if (inputs.statistics) {
    request.extra["calibration"] = toJson(inputs.statistics->recipe);
    request.extra["calibrationTokens"] = inputs.statistics->tokens;
    request.extra["baseLoss"] = inputs.statistics->baseLoss();
  }
  KVISTA_ASSIGN(ExportReport report, exportCheckpoint(request, place, call.task));
  return toJson(ExportRecord{report.form, place.target.string(), report.bytesPerToken, std::move(report.files),
                             std::move(report.notes), report.verified, report.largestLogitDifference});
}

Result<nlohmann::json> verify(Call& call) {
  Fields fields(call.params, "the parameters of verify");
  const std::string path = fields.text("path");
  if (fields.error()) return tl::unexpected(*fields.error());
  ComputeOptions options;
  KVISTA_ASSIGN(options.device, openDevice(call.workspace.settings().device));
  KVISTA_ASSIGN(const Verification found, verifyExport(path, options, call.task));
  return nlohmann::json{{"form", found.form}, {"files", found.files}, {"problems", found.problems}};
}

Result<nlohmann::json> report(Call& call) {
  Fields fields(call.params, "the parameters of report");
  const std::filesystem::path file = fields.text("project");
  const bool isGiven = fields.has("content");
  const std::string output = fields.has("output") ? fields.text("output") : std::string();
  if (fields.error()) return tl::unexpected(*fields.error());
  KVISTA_ASSIGN(Project project, isGiven ? projectFromJson(call.params.at("content"), file) : loadProject(file));
  KVISTA_ASSIGN(const std::string page, reportOf(std::move(project), file.stem().string(), call.workspace, call.task));
  if (!output.empty()) KVISTA_CHECK(writeFileAtomically(output, page));
  return output.empty() ? nlohmann::json{{"html", page}} : nlohmann::json{{"path", output}};
}

}  // namespace kvista
