// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "app/cli/export_options.h"
#include "app/cli/model.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/checkpoint/verify_export.h"
#include "core/model/device.h"

namespace kvista {
namespace {

/// Of texts as `kvista refine` joins them.
std::vector<std::string> split(const std::string& texts) {
  std::vector<std::string> all;
  for (std::size_t begin = 0; begin <= texts.size();) {
    const std::size_t end = std::min(texts.find(", ", begin), texts.size());
    all.push_back(texts.substr(begin, end - begin));
    begin = end + 2;
  }
  return all;
}

struct Options {
  std::string project;
  ExportSettings settings;
  ComputeSettings compute;
};

Result<Output> run(const Options& options, const Task& task) {
  KVISTA_ASSIGN(const Project project, loadProject(options.project));
  KVISTA_ASSIGN(const Checkpoint checkpoint, openCheckpoint(project.model));
  KVISTA_ASSIGN(const DecoderDescription description, describe(checkpoint));
  KVISTA_CHECK(checkPlanFits(project, description.shape, options.project));
  KVISTA_CHECK(checkExport(options.settings, checkpoint, description, project.plan));
  KVISTA_ASSIGN(const ProjectParts parts, openProjectParts(project, options.project, options.compute, task));
  ExportRequest request{parts.model.checkpoint, *parts.model.decoder, project.plan, parts.factors};
  request.extra = {{"requestedBytesPerToken", project.requestedBytes}, {"baseLoss", project.baseLoss}};
  if (project.predictedLoss) request.extra["predictedLossRaw"] = *project.predictedLoss;
  if (project.correctedLoss) request.extra["predictedLoss"] = *project.correctedLoss;
  if (parts.statistics) {
    request.extra["calibration"] = toJson(parts.statistics->recipe);
    request.extra["calibrationTokens"] = parts.statistics->tokens;
  }
  for (const MeasuredResult& result : project.results) {
    if (result.planFingerprint != fingerprint(project.plan)) continue;
    request.extra["perplexityBefore"] = result.perplexityBefore;
    request.extra["perplexityAfter"] = result.perplexityAfter;
    request.extra["evaluation"] = {{"paths", split(result.text)}, {"predictions", result.predictions}};
  }
  KVISTA_ASSIGN(const ExportPlace place, placeOf(options.settings));
  KVISTA_ASSIGN(const ExportReport report, exportCheckpoint(request, place, task));
  Output output;
  output.json = {{"form", report.form},
                 {"bytesPerToken", report.bytesPerToken},
                 {"bytesPerTokenBefore", report.bytesPerTokenBefore},
                 {"files", report.files},
                 {"notes", report.notes},
                 {"verified", report.verified},
                 {"largestLogitDifference", report.largestLogitDifference},
                 {"path", options.settings.target}};
  output.text = fmt::format(
      "{} ({}, form {}): {} bytes of cache a token where the original has {}; verified, logits within {:.2g}\n",
      options.settings.target, amount(report.files.size(), "file"), report.form, report.bytesPerToken,
      report.bytesPerTokenBefore, report.largestLogitDifference);
  for (const std::string& note : report.notes) output.text += fmt::format("note: {}\n", note);
  return output;
}

struct VerifyOptions {
  std::string folder;
  ComputeSettings compute;
};

Result<Output> verify(const VerifyOptions& options, const Task& task) {
  ComputeOptions compute;
  KVISTA_ASSIGN(compute.device, openDevice(options.compute.device));
  KVISTA_ASSIGN(const Verification found, verifyExport(options.folder, compute, task));
  if (!found.problems.empty())
    return fail(
        ErrorCode::corruptFile, fmt::format("{} is not as it was written: {}", options.folder, found.problems.front()),
        "Export it again.", fmt::format("{}", fmt::join(found.problems.begin() + 1, found.problems.end(), "\n  ")));
  return Output{
      {{"form", found.form}, {"files", found.files}, {"verified", true}},
      fmt::format("{} is as it was written: {}, form {}.\n", options.folder, amount(found.files, "file"), found.form)};
}

}  // namespace

void addExport(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(app, invocation,
                           {"export", "Write a checkpoint whose cache is as planned",
                            "kvista export demo.kvista -o demo-small --form latent"},
                           options, run);
  verb->add_option("project", options->project, "Project of `kvista plan`")->required();
  addExportOptions(verb, options->settings);
  addComputeOptions(verb, options->compute);
}

void addVerify(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* verb =
      addVerb(app, invocation, {"verify", "Check an exported folder against its report", "kvista verify demo-small"},
              options, verify);
  verb->add_option("folder", options->folder, "What `kvista export` wrote")->required();
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
