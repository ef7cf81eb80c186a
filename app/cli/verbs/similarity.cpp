// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/model.h"
#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/compress/measures/measures.h"

namespace kvista {
namespace {

struct Options {
  std::string model;
  std::string statistics;
  int layer = 0;
  std::string side = "k";
  std::string measure = "cka";
  ComputeSettings compute;
};

Result<Output> run(const Options& options, const Task& task) {
  KVISTA_ASSIGN(const Measure* measure, findMeasure(options.measure));
  KVISTA_ASSIGN(const LoadedModel model, loadModel(options.model, options.compute, task));
  KVISTA_ASSIGN(const Statistics statistics, loadStatistics(options.statistics));
  if (statistics.shape != model.decoder->shape())
    return fail(ErrorCode::invalidArgument, fmt::format("The statistics {} are of another model.", options.statistics),
                "Calibrate this model.");
  if (options.layer < 0 || options.layer >= statistics.shape.layers)
    return fail(ErrorCode::invalidArgument, fmt::format("There is no layer {}; the model has layers 0 to {}.",
                                                        options.layer, statistics.shape.layers - 1));
  const Side side = options.side == "k" ? Side::key : Side::value;
  KVISTA_ASSIGN(const at::Tensor similarity, measure->similarity({*model.decoder, statistics, options.layer, side}));
  Output output;
  const auto matrix = similarity.contiguous();
  const std::int64_t heads = matrix.size(0);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  output.text =
      fmt::format("{} of layer {}, {} heads\n", measure->name, options.layer, side == Side::key ? "key" : "value");
  for (std::int64_t i = 0; i < heads; ++i) {
    const double* row = matrix.const_data_ptr<double>() + i * heads;
    rows.push_back(std::vector<double>(row, row + heads));
    for (std::int64_t j = 0; j < heads; ++j) output.text += fmt::format("{:7.4f}", row[j]);
    output.text += "\n";
  }
  output.json = {{"measure", measure->name}, {"layer", options.layer}, {"side", options.side}, {"matrix", rows}};
  return output;
}

}  // namespace

void addSimilarity(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"similarity", "How alike the heads of a layer are",
               "kvista similarity resources/demo/model --stats demo.kvstats --layer 3 --side k --measure cka"},
              options, run);
  verb->add_option("model", options->model, "Checkpoint")->required();
  verb->add_option("--stats", options->statistics, "Statistics of `kvista calibrate`")->required();
  verb->add_option("--layer", options->layer, "Layer, from 0")->check(wholeNumber(0, 1'000'000))->capture_default_str();
  verb->add_option("--side", options->side, "Keys or values")->check(oneOf({"k", "v"}))->capture_default_str();
  verb->add_option("--measure", options->measure, "See `kvista list measures`")
      ->check(oneOf(namesOf(measures())))
      ->capture_default_str();
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
