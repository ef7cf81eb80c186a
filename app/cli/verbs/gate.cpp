// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/model.h"
#include "app/cli/option_checks.h"
#include "app/cli/output_file.h"
#include "app/cli/verb.h"
#include "core/policy/importance_gate.h"

namespace kvista {
namespace {

struct Options {
  std::string model, output;
  TextSettings text;
  ComputeSettings compute;
  double ridge = 1e-4;
};

Result<Output> run(const Options& options, const Task& task) {
  std::vector<std::filesystem::path> inputs(options.text.recipe.paths.begin(), options.text.recipe.paths.end());
  inputs.emplace_back(options.model);
  KVISTA_CHECK(checkOutputFile(options.output, inputs));
  KVISTA_CHECK(checkTexts(options.text.recipe.paths));
  KVISTA_ASSIGN(const LoadedModel model, loadModel(options.model, options.compute, task));
  KVISTA_ASSIGN(const std::string hash, contentHash(model.checkpoint));
  KVISTA_ASSIGN(const TokenWindows windows, readText(model, options.text, task));
  KVISTA_ASSIGN(const FittedGate fitted, fitGate(*model.decoder, windows.ids, options.ridge, task));
  KVISTA_CHECK(saveGate(options.output, fitted.gate, hash, task));
  Output output;
  output.json = {{"gate", options.output}, {"windows", windows.ids.size(0)}, {"window", windows.ids.size(1)}, {"correlation", fitted.correlation}};
  output.text = fmt::format("{}: fitted to {} windows of {}; correlation {:.3f} with the logarithm of KVzip's scores\n", options.output, windows.ids.size(0),
                            windows.ids.size(1), fitted.correlation);
  return output;
}

}  // namespace

void addGate(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(app, invocation,
                           {"gate", "Fits the gate of the policy fast-kvzip, which foretells what KVzip would find important",
                            "kvista gate resources/demo/model --text resources/demo/text/calibration.txt --window 256 --windows 16 -o demo.gate"},
                           options, run);
  verb->add_option("model", options->model, "Checkpoint")->required();
  addTextOptions(verb, options->text);
  verb->add_option("--ridge", options->ridge, "Added to the features' second moments, as a part of their mean")->check(numberAtLeast(0))->capture_default_str();
  verb->add_option("-o,--output", options->output, "File to write")->required();
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
