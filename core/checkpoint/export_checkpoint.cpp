// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/export_checkpoint.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "core/checkpoint/companion_files.h"
#include "core/checkpoint/export_form.h"
#include "core/checkpoint/export_report.h"
#include "core/checkpoint/export_target.h"
#include "core/checkpoint/verify_export.h"
#include "core/io/atomic_file.h"

namespace kvista {

namespace {

constexpr std::uint64_t kShardBytes = 5'000'000'000;
constexpr std::uint64_t kRoomForOtherFiles = std::uint64_t{64} << 20;

Result<void> checkPlanAndType(const CompressionPlan& plan, const ModelShape& shape, const std::optional<DataType>& dtype) {
  if (const auto problems = validate(plan, shape); !problems.empty())
    return fail(ErrorCode::invalidArgument, fmt::format("The plan does not fit the model: {}", problems.front()));
  if (dtype && *dtype != DataType::f32 && *dtype != DataType::bf16 && *dtype != DataType::f16)
    return fail(ErrorCode::invalidArgument, fmt::format("Weights cannot be written as {}.", nameOf(*dtype)),
                "Choose one of: float32, bfloat16, float16.");
  return {};
}

/// The factors must be the plan's, whoever made them.
Result<void> checkFactors(const CompressionPlan& plan, const PlanFactors& factors) {
  if (factors.size() != plan.groups.size())
    return fail(ErrorCode::invalidArgument,
                fmt::format("There are factors for {} groups, the plan has {}.", factors.size(), plan.groups.size()));
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const auto width = static_cast<std::int64_t>(plan.groups[i].widths.size());
    const auto rank = static_cast<std::int64_t>(plan.groups[i].rank());
    if (factors[i].isIdentity()) {
      if (std::ranges::all_of(plan.groups[i].widths, [](std::uint8_t bits) { return bits == 16; })) continue;
      return fail(ErrorCode::invalidArgument, fmt::format("Group {} is compressed but has no factors.", i));
    }
    std::vector<std::uint8_t> kept = plan.groups[i].widths;
    std::erase(kept, std::uint8_t{0});
    std::ranges::sort(kept, std::greater());
    if (factors[i].up.sizes() != at::IntArrayRef({width, rank}) || factors[i].down.sizes() != at::IntArrayRef({rank, width}) ||
        factors[i].steps.sizes() != at::IntArrayRef({rank}) || factors[i].widths != kept)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The factors of group {} are not those of {} directions of {} numbers.", i, rank, width));
  }
  return {};
}

Result<std::uint64_t> bytesOf(const std::vector<TensorToWrite>& tensors) {
  std::uint64_t total = 0;
  for (const TensorToWrite& tensor : tensors) {
    std::uint64_t count = 1;
    for (const std::int64_t length : tensor.shape) count *= static_cast<std::uint64_t>(length);
    KVISTA_ASSIGN(const std::uint64_t bytes, byteCount(tensor.type, count));
    total += bytes;
  }
  return total;
}

/// Everything but the report. Answers the files' names.
Result<std::vector<std::string>> writeFiles(const ExportRequest& request, ExportContent& content,
                                            const std::filesystem::path& folder, const Task& task) {
  KVISTA_ASSIGN(std::vector<std::string> names,
                writeShardedSafetensors(folder, std::move(content.tensors), kShardBytes, task));
  KVISTA_ASSIGN(const auto companions, writeCompanionFiles(request.checkpoint, folder));
  names.insert(names.end(), companions.begin(), companions.end());
  content.files["config.json"] = content.config.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (const auto& [name, text] : content.files) {
    KVISTA_CHECK(writeFileAtomically(folder / name, text));
    names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

Result<nlohmann::json> makeReport(const ExportRequest& request, const ExportContent& content,
                                  const std::vector<ExportedFile>& files, const LogitComparison& comparison) {
  KVISTA_ASSIGN(const std::string source, contentHash(request.checkpoint));
  nlohmann::json report = request.extra.is_object() ? request.extra : nlohmann::json::object();
  report["form"] = request.form;
  report["plan"] = toJson(request.plan);
  report["fingerprint"] = fingerprint(request.plan);
  report["source"] = {{"family", request.decoder.shape().family}, {"hash", source}};
  report["bytesPerToken"] = {{"before", request.decoder.shape().cacheBytesPerToken()},
                             {"planned", bytesPerToken(request.plan)},
                             {"achieved", content.cacheBytesPerToken}};
  report["notes"] = content.notes;
  report["files"] = toJson(files);
  report["verification"] = {{"tokens", comparison.tokens},
                            {"largestLogitDifference", comparison.largestDifference},
                            {"rootMeanSquareDifference", comparison.meanSquareDifference},
                            {"tolerance", comparison.tolerance},
                            {"measure", comparison.measure},
                            {"passed", true}};
  return report;
}

/// Factors of the plan's sizes without numbers: what a form looks at before it is asked for tensors.
PlanFactors shapesOfFactors(const CompressionPlan& plan) {
  PlanFactors all;
  for (const Group& group : plan.groups) {
    GroupFactors& factors = all.emplace_back();
    if (group.isUncompressed()) continue;
    const auto width = static_cast<std::int64_t>(group.widths.size());
    const auto rank = static_cast<std::int64_t>(group.rank());
    factors.up = at::zeros({1, 1}).expand({width, rank});
    factors.down = at::zeros({1, 1}).expand({rank, width});
    factors.steps = at::zeros({1}).expand({rank});
    factors.widths = group.widths;
    std::erase(factors.widths, std::uint8_t{0});
    std::ranges::sort(factors.widths, std::greater());
  }
  return all;
}

/// The target's parent: it must be there, have room, and the target must be free or an earlier export to replace.
Result<void> checkPlace(const ForecastRequest& request, ExportForecast& forecast) {
  KVISTA_CHECK(checkTarget(request.target, request.checkpoint, request.overwrite));
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::absolute(request.target).parent_path();
  if (!std::filesystem::is_directory(parent, error))
    return fail(ErrorCode::io, fmt::format("The folder {} does not exist.", parent.string()), "Make it, or give another target.");
  if (!request.overwrite && std::filesystem::exists(request.target, error))
    return fail(ErrorCode::invalidArgument, fmt::format("{} exists already.", request.target.string()), "Give another name, or replace it.");
  forecast.freeBytes = std::filesystem::space(parent, error).available;
  return checkFreeSpace(parent, forecast.bytesAfter + kRoomForOtherFiles, "the export");
}

}  // namespace

Result<ExportForecast> forecastExport(const ForecastRequest& request) {
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(request.form));
  ExportForecast forecast;
  for (const std::filesystem::path& file : request.checkpoint.files) {
    std::error_code error;
    forecast.bytesBefore += std::filesystem::file_size(file, error);
    if (error) return fail(ErrorCode::io, fmt::format("{} cannot be looked at: {}.", file.string(), error.message()));
  }
  const auto listProblem = [&](const Result<void>& checked) {
    if (!checked) forecast.problems.push_back(checked.error().message + (checked.error().hint.empty() ? "" : " " + checked.error().hint));
    return checked.has_value();
  };
  if (listProblem(checkPlanAndType(request.plan, request.description.shape, request.dtype)) &&
      listProblem(form->check(request.plan, request.description))) {
    const PlanFactors factors = shapesOfFactors(request.plan);
    KVISTA_ASSIGN(const ExportContent content, form->make({request.checkpoint, request.description, request.plan, factors, request.dtype}));
    for (const TensorToWrite& tensor : content.tensors) ++(tensor.isCarriedOver ? forecast.tensorsCarried : forecast.tensorsChanged);
    KVISTA_ASSIGN(forecast.bytesAfter, bytesOf(content.tensors));
    forecast.bytesPerToken = content.cacheBytesPerToken;
    forecast.notes = content.notes;
  }
  listProblem(checkPlace(request, forecast));
  return forecast;
}

Result<ExportReport> exportCheckpoint(const ExportRequest& request, const Task& task) {
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(request.form));
  KVISTA_CHECK(checkPlanAndType(request.plan, request.decoder.shape(), request.dtype));
  KVISTA_CHECK(form->check(request.plan, request.decoder.description()));
  KVISTA_CHECK(checkFactors(request.plan, request.factors));
  KVISTA_CHECK(checkTarget(request.target, request.checkpoint, request.overwrite));

  KVISTA_ASSIGN(ExportContent content, form->make({request.checkpoint, request.decoder.description(), request.plan,
                                                   request.factors, request.dtype, request.decoder.options().device}));
  KVISTA_ASSIGN(const std::uint64_t bytes, bytesOf(content.tensors));
  KVISTA_ASSIGN(AtomicDirectory folder, AtomicDirectory::create(request.target, bytes + kRoomForOtherFiles, request.overwrite));
  KVISTA_ASSIGN(const at::Tensor expected, logitsOnFixedTokens(request.decoder, &content.plan, content.factors, task));
  KVISTA_ASSIGN(std::vector<std::string> names, writeFiles(request, content, folder.path(), task));

  std::vector<ExportedFile> files;
  for (const std::string& name : names) {
    task.progress("verify", files.size(), names.size(), "files");
    KVISTA_ASSIGN(ExportedFile file, hashFile(folder.path(), name, task));
    files.push_back(std::move(file));
  }
  const bool has16BitFactors = request.dtype && *request.dtype != DataType::f32;
  KVISTA_ASSIGN(const LogitComparison comparison,
                compareWritten(folder.path(), content, expected, has16BitFactors, request.decoder.options(), task));
  KVISTA_ASSIGN(const nlohmann::json report, makeReport(request, content, files, comparison));
  KVISTA_CHECK(writeFileAtomically(folder.path() / kReportName, report.dump(2) + "\n"));
  KVISTA_CHECK(folder.commit());
  names.emplace_back(kReportName);
  return ExportReport{.form = request.form,
                      .bytesPerToken = content.cacheBytesPerToken,
                      .bytesPerTokenBefore = request.decoder.shape().cacheBytesPerToken(),
                      .files = std::move(names),
                      .notes = std::move(content.notes),
                      .verified = true,
                      .largestLogitDifference = comparison.largestDifference};
}

}  // namespace kvista
