// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/calibrate.h"

#include <fmt/format.h>

#include <cmath>

#include "app/cli/memory.h"
#include "app/cli/model.h"
#include "app/cli/output_file.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/calibration/statistics_pass.h"
#include "core/engine/memory_forecast.h"
#include "core/model/device.h"
#include "core/text/model_tokenizer.h"

namespace kvista {
namespace {

struct Options {
  std::string model;
  std::string output;
  TextSettings text;
  bool noGradients = false;
  bool noResponse = false;
  ComputeSettings compute;
};

Result<Output> run(const Options& options, const Task& task) {
  std::vector<std::filesystem::path> inputs(options.text.recipe.paths.begin(), options.text.recipe.paths.end());
  inputs.emplace_back(options.model);
  KVISTA_CHECK(checkOutputFile(options.output, inputs));
  KVISTA_CHECK(checkTexts(options.text.recipe.paths));
  KVISTA_ASSIGN(const ProcessGroup processes, joinProcesses(options.compute));
  KVISTA_ASSIGN(const LoadedModel model, loadModel(options.model, options.compute, task));
  KVISTA_ASSIGN(const std::string hash, contentHash(model.checkpoint));
  KVISTA_ASSIGN(const Tokenizer tokenizer, tokenizerOf(model.checkpoint));
  CalibrationRequest request;
  request.recipe = completedRecipe(model, options.text);
  request.bos = bosTokenOf(model.checkpoint);
  request.gradients = !options.noGradients;
  request.response = !options.noResponse;
  request.partialFile = options.output + ".partial";
  KVISTA_CHECK(checkCalibrationMemory(*model.decoder, request));
  KVISTA_ASSIGN(const Statistics statistics, calibrate(*model.decoder, hash, tokenizer, request, task, processes));
  if (processes.isFirst()) KVISTA_CHECK(saveStatistics(options.output, statistics, task));
  KVISTA_CHECK(forgetPass(request.partialFile, Task{}, processes));
  const double peak = peakMemoryBytes();
  Output output;
  output.json = {
      {"tokens", statistics.tokens},
      {"windows", statistics.windows},
      {"seconds", statistics.seconds},
      {"device", statistics.device},
      {"gradients", statistics.gradients},
      {"perplexity", statistics.gradients
                         ? nlohmann::ordered_json(std::exp(statistics.lossSum /
                                                           static_cast<double>(statistics.tokens - statistics.windows)))
                         : nlohmann::ordered_json()},
      {"peakMemoryBytes", peak},
      {"statistics", options.output}};
  std::string ofGpu;
  if (const std::int64_t bytes = peakMemoryOf(model.decoder->options().device); bytes > 0) {
    output.json["peakDeviceMemoryBytes"] = bytes;
    ofGpu = fmt::format(", {} on the GPU", formatBytes(static_cast<double>(bytes)));
  }
  output.text = fmt::format("Statistics of {} ({}) are in {}: {:.1f} s on {}, {:.0f} tokens/s, peak memory {}{}.\n",
                            amount(statistics.tokens, "token"), amount(statistics.windows, "window"), options.output,
                            statistics.seconds, statistics.device,
                            static_cast<double>(statistics.tokens) / statistics.seconds, formatBytes(peak), ofGpu);
  return output;
}

struct MergeOptions {
  std::vector<std::string> inputs;
  std::string output;
};

Result<Output> merge(const MergeOptions& options, const Task& task) {
  KVISTA_CHECK(checkOutputFile(options.output, {}));  // may be one of the inputs: it is replaced once all are read
  KVISTA_ASSIGN(Statistics sum, loadStatistics(options.inputs.front()));
  for (std::size_t i = 1; i < options.inputs.size(); ++i) {
    KVISTA_ASSIGN(const Statistics next, loadStatistics(options.inputs[i]));
    KVISTA_ASSIGN(sum, mergeStatistics(sum, next));
  }
  KVISTA_CHECK(saveStatistics(options.output, sum, task));
  return Output{{{"tokens", sum.tokens}, {"windows", sum.windows}, {"statistics", options.output}},
                fmt::format("Statistics of {} together are in {}.\n", amount(sum.tokens, "token"), options.output)};
}

}  // namespace

void addCalibrate(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(app, invocation,
                           {"calibrate", "Run a text through a model once and keep the sums that every method needs",
                            "kvista calibrate resources/demo/model --text resources/demo/text/calibration.txt --window "
                            "256 --windows 16 -o demo.kvstats",
                            true},
                           options, run);
  verb->add_option("model", options->model, "Checkpoint")->required();
  verb->add_option("-o,--output", options->output,
                   "Statistics file to write; a pass that was cut off is taken up again")
      ->required();
  addTextOptions(verb, options->text);
  verb->add_flag("--no-gradients", options->noGradients,
                 "Forward only: faster, but no Fisher metric and no prediction");
  verb->add_flag("--no-response", options->noResponse, "Do not measure plans on held-out text to correct predictions");
  addComputeOptions(verb, options->compute);
  addGradientOptions(verb, options->compute);
}

void addMerge(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<MergeOptions>();
  CLI::App* verb = addVerb(
      app, invocation,
      {"merge", "Add up statistics of several parts of a text", "kvista merge a.kvstats b.kvstats -o all.kvstats"},
      options, merge);
  verb->add_option("statistics", options->inputs, "Statistics files")->required()->expected(2, 1000);
  verb->add_option("-o,--output", options->output, "Statistics file to write")->required();
}

}  // namespace kvista
