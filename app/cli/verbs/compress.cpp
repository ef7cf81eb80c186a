// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "app/cli/export_options.h"
#include "app/cli/model.h"
#include "app/cli/option_checks.h"
#include "app/cli/plan_text.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/engine/memory_forecast.h"
#include "core/evaluate/calibrate.h"
#include "core/evaluate/perplexity.h"
#include "core/text/model_tokenizer.h"

namespace kvista {
namespace {

struct Options {
  std::string model;
  TextSettings text;
  std::vector<std::string> evaluationPaths;
  std::int64_t evaluationWindows = 0;
  PlanSettings plan;
  ExportSettings settings;
  ComputeSettings compute;
};

/// Text to measure on: what was given, else windows of the calibration text that calibration did not see.
Result<TokenWindows> evaluationText(const LoadedModel& model, const Options& options, const Statistics& statistics,
                                    const Task& task, const ProcessGroup& processes) {
  TextSettings text = options.text;
  text.recipe.window = statistics.recipe.window;
  text.tokens = 0;
  text.windows = options.evaluationWindows;
  if (!options.evaluationPaths.empty()) {
    text.recipe.paths = options.evaluationPaths;
    text.recipe.weights.clear();
    text.recipe.skipWindows = 0;
    text.seed = -1;
  } else {
    text.recipe.skipWindows += statistics.windows;
  }
  return readText(model, text, task, processes);
}

/// Everything that can be refused from headers alone, before the long part.
Result<void> checkBeforehand(const Options& options, const PlanRequest& request) {
  KVISTA_CHECK(checkTexts(options.text.recipe.paths));
  KVISTA_CHECK(checkTexts(options.evaluationPaths));
  KVISTA_ASSIGN(const Checkpoint checkpoint, openCheckpoint(options.model));
  KVISTA_ASSIGN(const DecoderDescription description, describe(checkpoint));
  KVISTA_ASSIGN(const CompressionPlan draft, draftPlan(request, description.shape));
  return checkExport(options.settings, checkpoint, description, draft);
}

Result<Output> run(const Options& options, const Task& task) {
  KVISTA_ASSIGN(PlanRequest planRequest, requestOf(options.plan, Target{Target::Kind::share, 0.125}));
  planRequest.keepBases = true;
  KVISTA_CHECK(checkBeforehand(options, planRequest));
  KVISTA_ASSIGN(const ProcessGroup processes, joinProcesses(options.compute));
  KVISTA_ASSIGN(const LoadedModel model, loadModel(options.model, options.compute, task));
  const Decoder& decoder = *model.decoder;
  KVISTA_ASSIGN(const std::string hash, contentHash(model.checkpoint));
  KVISTA_ASSIGN(const Tokenizer tokenizer, tokenizerOf(model.checkpoint));

  CalibrationRequest calibration;
  calibration.recipe = completedRecipe(model, options.text);
  calibration.bos = bosTokenOf(model.checkpoint);
  KVISTA_CHECK(checkCalibrationMemory(decoder, calibration));
  std::unique_ptr<BegunExport> begun;
  if (processes.isFirst()) {
    KVISTA_ASSIGN(ExportPlace place, placeOf(options.settings));
    KVISTA_ASSIGN(begun, BegunExport::begin(model.checkpoint, decoder.description(), std::move(place)));
  }
  KVISTA_ASSIGN(const Statistics statistics, calibrate(decoder, hash, tokenizer, calibration, task, processes));
  KVISTA_ASSIGN(const PlanWithSpectra made, makePlan(decoder, &statistics, planRequest, task, processes));
  const PlannedPlan& planned = made.planned;
  KVISTA_ASSIGN(const PlanFactors factors, makeFactors(decoder, &statistics, made, task, processes));
  const PlanTransform transform(planned.plan, factors, decoder.shape(), decoder.options().device);

  KVISTA_ASSIGN(const TokenWindows text, evaluationText(model, options, statistics, task, processes));
  KVISTA_ASSIGN(const Perplexity before,
                measurePerplexity(decoder, text.ids, nullptr, "measure before", task, processes));
  KVISTA_ASSIGN(const Perplexity after,
                measurePerplexity(decoder, text.ids, &transform, "measure after", task, processes));
  if (!processes.isFirst()) return Output{};
  const std::optional<double> rise = planned.correctedLoss ? planned.correctedLoss : planned.predictedLoss;
  const std::optional<double> predicted = rise ? std::optional(std::exp(before.meanLoss + *rise)) : std::nullopt;

  ExportRequest request{model.checkpoint, decoder, planned.plan, factors};
  request.extra = {{"requestedBytesPerToken", planned.requestedBytes},
                   {"calibration", toJson(statistics.recipe)},
                   {"calibrationTokens", statistics.tokens},
                   {"evaluation",
                    {{"paths", options.evaluationPaths.empty() ? options.text.recipe.paths : options.evaluationPaths},
                     {"isRestOfCalibration", options.evaluationPaths.empty()},
                     {"predictions", after.predictions}}},
                   {"perplexityBefore", before.perplexity()},
                   {"perplexityAfter", after.perplexity()}};
  if (predicted) request.extra["predictedPerplexity"] = *predicted;
  KVISTA_ASSIGN(const ExportReport report, finishExport(*begun, request, task));

  const std::int64_t full = decoder.shape().cacheBytesPerToken();
  Output output;
  output.json = {{"perplexityBefore", before.perplexity()},
                 {"perplexityAfter", after.perplexity()},
                 {"predictedPerplexity", predicted ? nlohmann::ordered_json(*predicted) : nullptr},
                 {"bytesPerTokenBefore", full},
                 {"bytesPerTokenAfter", report.bytesPerToken},
                 {"timesSmaller", static_cast<double>(full) / static_cast<double>(report.bytesPerToken)},
                 {"method", planned.plan.method},
                 {"calibrationTokens", statistics.tokens},
                 {"predictions", after.predictions},
                 {"form", report.form},
                 {"verified", report.verified},
                 {"notes", report.notes},
                 {"path", options.settings.target}};
  const double change = (after.perplexity() / before.perplexity() - 1) * 100;
  output.text = fmt::format(
      "                          before        after\n"
      "  cache, bytes a token  {:>8} {:>12}   {:.2f} times smaller\n"
      "  at 32,768 tokens      {:>8} {:>12}\n"
      "  perplexity            {:>8.3f} {:>12.3f}   {:+.2f} %{}\n\n"
      "Measured on {}{}; calibrated on {}; method {}.\n"
      "The checkpoint is in {} (form {}, verified: logits within {:.2g} of the plan's own).\n",
      full, report.bytesPerToken, static_cast<double>(full) / static_cast<double>(report.bytesPerToken),
      formatBytes(static_cast<double>(full) * 32768), formatBytes(static_cast<double>(report.bytesPerToken) * 32768),
      before.perplexity(), after.perplexity(), change, predicted ? fmt::format(" (predicted ~{:.3f})", *predicted) : "",
      amount(after.predictions, "token"),
      options.evaluationPaths.empty() ? " of the same text that calibration did not see" : "",
      amount(statistics.tokens, "token"), planned.plan.method, options.settings.target, report.form,
      report.largestLogitDifference);
  for (const std::string& note : report.notes) output.text += fmt::format("note: {}\n", note);
  return output;
}

}  // namespace

void addCompress(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(app, invocation,
                           {"compress", "The main job: calibrate, plan, measure and export in one go",
                            "kvista compress resources/demo/model --text resources/demo/text/calibration.txt --window "
                            "256 --windows 16 --times-smaller 8 -o demo-smaller",
                            true},
                           options, run);
  verb->add_option("model", options->model, "Checkpoint")->required();
  addTextOptions(verb, options->text);
  verb->add_option("--evaluate-on", options->evaluationPaths,
                   "Text to measure on (default: what calibration left of --text)");
  verb->add_option("--evaluate-windows", options->evaluationWindows, "At most this many windows of it")
      ->check(wholeNumber(1));
  addPlanOptions(verb, options->plan);
  addExportOptions(verb, options->settings);
  addComputeOptions(verb, options->compute);
  addGradientOptions(verb, options->compute);
}

}  // namespace kvista
