// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "app/cli/model.h"
#include "app/cli/option_checks.h"
#include "app/cli/output_file.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/policy/train_predictor.h"

namespace kvista {
namespace {

struct Options {
  std::string model, output, kind{kPredictorKinds.front().name};
  TextSettings text;
  ComputeSettings compute;
  double ridge = kUsualRidge;
};

Result<Output> run(const Options& options, const Task& task) {
  std::vector<std::filesystem::path> inputs(options.text.recipe.paths.begin(), options.text.recipe.paths.end());
  inputs.emplace_back(options.model);
  KVISTA_CHECK(checkOutputFile(options.output, inputs));
  KVISTA_CHECK(checkTexts(options.text.recipe.paths));
  KVISTA_ASSIGN(const LoadedModel model, loadModel(options.model, options.compute, task));
  KVISTA_ASSIGN(const std::string hash, contentHash(model.checkpoint));
  KVISTA_ASSIGN(const TokenWindows windows, readText(model, options.text, task));
  // Checked as an option.
  const auto kind = std::ranges::find(kPredictorKinds, options.kind, &Named<PredictorKind>::name);
  KVISTA_ASSIGN(const TrainedPredictor trained,
                trainPredictor(kind->value, *model.decoder, windows.ids, options.ridge, options.output, hash, task));
  Output output;
  output.json = {{"gate", options.output},        {"kind", options.kind},
                 {"windows", trained.windows},    {"heldOutWindows", trained.heldOutWindows},
                 {"window", windows.ids.size(1)}, {"correlation", trained.correlation}};
  output.text = fmt::format("{}: fitted to {} of {}; correlation {:.3f} with what is true over {} held out\n",
                            options.output, amount(trained.windows, "window"), windows.ids.size(1), trained.correlation,
                            amount(trained.heldOutWindows, "window"));
  if (const auto& recall = trained.recall) {
    output.json["recall"] = {{"predicted", recall->predicted},
                             {"accumulated", recall->accumulated},
                             {"recent", recall->recent},
                             {"best", recall->best}};
    output.text += fmt::format(
        "a quarter of the keys holds {:.3f} of the next {} queries' attention as foretold; {:.3f} by all attention so "
        "far (H2O), {:.3f} by the last queries' (SnapKV), {:.3f} at best\n",
        recall->predicted, AttentionPredictor::kAhead, recall->accumulated, recall->recent, recall->best);
  }
  return output;
}

}  // namespace

void addGate(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(
      app, invocation,
      {"gate", "Trains what the policies fast-kvzip and attention-predictor foretell by which tokens will be needed",
       "kvista gate resources/demo/model --text resources/demo/text/calibration.txt --window 256 --windows 16 -o "
       "demo.gate"},
      options, run);
  verb->add_option("model", options->model, "Checkpoint")->required();
  addTextOptions(verb, options->text);
  verb->add_option("--kind", options->kind, "The policy that is to read it")
      ->check(oneOf(namesOf(kPredictorKinds)))
      ->capture_default_str();
  verb->add_option("--ridge", options->ridge,
                   "Of fast-kvzip: added to the features' second moments, as a part of their mean")
      ->check(numberAtLeast(0))
      ->capture_default_str();
  verb->add_option("-o,--output", options->output, "File to write")->required();
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
