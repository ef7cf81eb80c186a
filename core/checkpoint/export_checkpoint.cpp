// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/export_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>

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

Result<void> checkRequest(const ExportRequest& request) {
  if (const auto problems = validate(request.plan, request.decoder.shape()); !problems.empty())
    return fail(ErrorCode::invalidArgument, fmt::format("The plan does not fit the model: {}", problems.front()));
  if (request.dtype && *request.dtype != DataType::f32 && *request.dtype != DataType::bf16 && *request.dtype != DataType::f16)
    return fail(ErrorCode::invalidArgument, fmt::format("Weights cannot be written as {}.", nameOf(*request.dtype)),
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
  std::uint64_t total = kRoomForOtherFiles;
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

}  // namespace

Result<ExportReport> exportCheckpoint(const ExportRequest& request, const Task& task) {
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(request.form));
  KVISTA_CHECK(checkRequest(request));
  KVISTA_CHECK(form->check(request.plan, request.decoder.description()));
  KVISTA_CHECK(checkFactors(request.plan, request.factors));
  KVISTA_CHECK(checkTarget(request.target, request.checkpoint, request.overwrite));

  KVISTA_ASSIGN(ExportContent content, form->make({request.checkpoint, request.decoder.description(), request.plan,
                                                   request.factors, request.dtype}));
  KVISTA_ASSIGN(const std::uint64_t bytes, bytesOf(content.tensors));
  KVISTA_ASSIGN(AtomicDirectory folder, AtomicDirectory::create(request.target, bytes, request.overwrite));
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
