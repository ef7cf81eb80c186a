// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/refine/refine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <cmath>

#include "app/cli/model.h"
#include "app/cli/option_checks.h"
#include "app/cli/output_file.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/compress/factor_file.h"
#include "core/evaluate/perplexity.h"

namespace kvista {
namespace {

struct Options {
  std::string project;
  std::string output;
  TextSettings text;
  std::vector<std::string> evaluationPaths;
  std::int64_t evaluationWindows = 32;
  double minutes = 0;
  RefineRequest refine;
  ComputeSettings compute;
};

nlohmann::ordered_json curveOf(const std::vector<RefinePoint>& curve) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const RefinePoint& point : curve) {
    list.push_back({{"step", point.step}, {"training", point.training}});
    if (point.heldOut) list.back()["heldOut"] = *point.heldOut;
  }
  return list;
}

Result<Output> run(const Options& options, const Task& task) {
  KVISTA_CHECK(checkTexts(options.text.recipe.paths));
  KVISTA_CHECK(checkTexts(options.evaluationPaths));
  const std::filesystem::path target = options.output.empty() ? options.project : options.output;
  if (!options.output.empty()) KVISTA_CHECK(checkOutputFile(options.output, {options.project}));
  KVISTA_ASSIGN(Project project, loadProject(options.project));
  project.refined.reset();  // training starts from the plan's own factors
  KVISTA_ASSIGN(const ProcessGroup processes, joinProcesses(options.compute));
  KVISTA_ASSIGN(const ProjectParts parts, openProjectParts(project, options.project, options.compute, task, processes));
  const Decoder& decoder = *parts.model.decoder;
  KVISTA_ASSIGN(const TokenWindows text, readText(parts.model, options.text, task, processes));
  const std::int64_t heldOut = heldOutWindows(text.ids.size(0), text.ids.size(1));
  const std::int64_t used = text.ids.size(0) - heldOut;
  TokenWindows unseen = windowsOf(text, used, heldOut);
  const std::vector<std::string>& otherText =
      options.evaluationPaths.empty() ? options.text.recipe.paths : options.evaluationPaths;
  if (!options.evaluationPaths.empty()) {
    TextSettings settings = options.text;
    settings.recipe.paths = options.evaluationPaths;
    settings.recipe.skipWindows = 0;
    settings.tokens = 0;
    settings.seed = -1;
    settings.windows = options.evaluationWindows;
    KVISTA_ASSIGN(unseen, readText(parts.model, settings, task, processes));
  }

  RefineRequest request = options.refine;
  if (options.minutes > 0) request.minutes = options.minutes;
  std::filesystem::path factorFile = std::filesystem::absolute(target).lexically_normal();
  factorFile.replace_extension(".refined.safetensors");
  request.keepsBestWhenStopped = true;
  request.partialFile = factorFile.string() + ".partial";
  request.key = fmt::format("{} {} {} {} {} {} {} {} {} {}", project.modelHash, fingerprint(project.plan), text.hash,
                            request.seed, request.steps, request.minutes.value_or(0), request.windowsPerStep,
                            request.rate, request.nested, c10::toString(decoder.options().dtype));
  KVISTA_CHECK(processes.agree("The model, the plan and the options of refining", request.key, task));
  KVISTA_ASSIGN(const RefineResult refined, refine(decoder, project.plan, parts.factors, text.ids.narrow(0, 0, used),
                                                   text.ids.narrow(0, used, heldOut), request, {}, task, processes));
  // Kept before the measuring, so that whoever cancels that, or the training, has the factors.
  if (task.stop.stop_requested() && processes.isFirst())
    spdlog::warn("Stopped after step {}: the best factors so far are kept in {}.", refined.steps, factorFile.string());
  const std::string print = fingerprint(project.plan);
  project.refined = RefinedFactors{
      factorFile, print, options.text.recipe.paths, refined.bestStep, refined.heldOutBefore, refined.heldOutAfter};
  // What was measured of this plan was measured with other factors.
  std::erase_if(project.results, [&](const MeasuredResult& result) { return result.planFingerprint == print; });
  if (processes.isFirst()) {
    KVISTA_CHECK(saveFactors(factorFile, project.plan, refined.factors, project.modelHash, Task{}));
    KVISTA_CHECK(saveProject(target, project));
  }

  const auto perplexities = [&](const at::Tensor& ids, const std::string& stage) -> Result<std::vector<double>> {
    std::vector<double> values;
    const PlanTransform before(project.plan, parts.factors, decoder.shape(), decoder.options().device);
    const PlanTransform after(project.plan, refined.factors, decoder.shape(), decoder.options().device);
    for (const CacheTransform* transform :
         {static_cast<const CacheTransform*>(nullptr), static_cast<const CacheTransform*>(&before),
          static_cast<const CacheTransform*>(&after)}) {
      KVISTA_ASSIGN(const Perplexity measured, measurePerplexity(decoder, ids, transform, stage, task, processes));
      values.push_back(measured.perplexity());
    }
    return values;
  };
  const std::int64_t looked = std::min<std::int64_t>(used, options.evaluationWindows);
  KVISTA_ASSIGN(const std::vector<double> seen,
                perplexities(text.ids.narrow(0, 0, looked), "measure on text refined on"));
  KVISTA_ASSIGN(const std::vector<double> other, perplexities(unseen.ids, "measure on other text"));
  project.results.push_back({fmt::format("{}", fmt::join(otherText, ", ")), unseen.hash, print, other[0], other[2],
                             unseen.ids.size(0) * (unseen.ids.size(1) - 1)});
  if (processes.isFirst()) KVISTA_CHECK(saveProject(target, project));

  const auto three = [](const std::vector<double>& values) {
    return nlohmann::ordered_json{{"original", values[0]}, {"before", values[1]}, {"after", values[2]}};
  };
  Output output;
  output.json = {{"steps", refined.steps},
                 {"bestStep", refined.bestStep},
                 {"ended", refined.ended},
                 {"seconds", refined.seconds},
                 {"divergenceBefore", refined.heldOutBefore},
                 {"divergenceAfter", refined.heldOutAfter},
                 {"perplexityOnTextRefinedOn", three(seen)},
                 {"perplexityOnOtherText", three(other)},
                 {"windows", used},
                 {"heldOutWindows", heldOut},
                 {"bytesPerToken", bytesPerToken(project.plan)},
                 {"curve", curveOf(refined.curve)},
                 {"factors", factorFile.string()},
                 {"project", target.string()}};
  output.text = fmt::format(
      "{} in {:.0f} s ({}); the factors kept are those after step {}.\n"
      "                            original  as planned   refined\n"
      "  perplexity, text refined on {:>6.3f} {:>11.3f} {:>9.3f}\n"
      "  perplexity, other text      {:>6.3f} {:>11.3f} {:>9.3f}{}\n"
      "  divergence, held out                {:>11.4f} {:>9.4f}  nats a token\n"
      "The cache is as small as before: {} bytes a token. The project {} has the factors in {}.\n",
      amount(refined.steps, "step"), refined.seconds, refined.ended, refined.bestStep, seen[0], seen[1], seen[2],
      other[0], other[1], other[2], options.evaluationPaths.empty() ? "   (the held-out end of the same text)" : "",
      refined.heldOutBefore, refined.heldOutAfter, bytesPerToken(project.plan), target.string(),
      factorFile.filename().string());
  return output;
}

}  // namespace

void addRefine(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"refine", "Train the factors of a plan, so that the same bytes lose less",
               "kvista refine demo.kvista --text resources/demo/text/calibration.txt --window 64 --steps 10", true},
              options, run);
  verb->add_option("project", options->project, "Project of `kvista plan`")->required();
  verb->add_option("-o,--output", options->output, "Project to write (default: the same)");
  addTextOptions(verb, options->text);
  verb->add_option("--evaluate-on", options->evaluationPaths,
                   "Text that is not refined on, to measure on (default: held-out windows)");
  verb->add_option("--evaluate-windows", options->evaluationWindows, "At most this many windows of it")
      ->check(wholeNumber(1))
      ->capture_default_str();
  verb->add_option("--steps", options->refine.steps, "Steps of the optimiser")
      ->check(wholeNumber(1, 1'000'000))
      ->capture_default_str();
  verb->add_option("--minutes", options->minutes, "End after this time instead")->check(positiveNumber());
  verb->add_option("--windows-per-step", options->refine.windowsPerStep, "Windows that one step looks at")
      ->check(wholeNumber(1, 4096))
      ->capture_default_str();
  verb->add_option("--rate", options->refine.rate, "Learning rate of AdamW")
      ->check(positiveNumber(1))
      ->capture_default_str();
  verb->add_flag("--nested", options->refine.nested,
                 "Draw the rank anew at each step, so that the factors serve smaller ranks too");
  addComputeOptions(verb, options->compute);
  addGradientOptions(verb, options->compute);
}

}  // namespace kvista
