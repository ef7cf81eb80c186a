// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/model.h"
#include "app/cli/option_checks.h"
#include "app/cli/output_file.h"
#include "app/cli/verb.h"
#include "core/compress/layer_sharing.h"
#include "core/io/sharing_map.h"

namespace kvista {
namespace {

struct Options {
  std::string model;
  std::string statistics;
  std::string output;
  SharingRequest request;
  ComputeSettings compute;
};

Result<Output> run(const Options& options, const Task& task) {
  if (!options.output.empty()) KVISTA_CHECK(checkOutputFile(options.output, {options.model, options.statistics}));
  KVISTA_ASSIGN(const LoadedModel model, loadModel(options.model, options.compute, task));
  KVISTA_ASSIGN(const Statistics statistics, loadStatistics(options.statistics));
  if (statistics.shape != model.decoder->shape())
    return fail(ErrorCode::invalidArgument, fmt::format("The statistics {} are of another model.", options.statistics),
                "Calibrate this model.");
  KVISTA_ASSIGN(const LayerSharing sharing, shareLayers(*model.decoder, statistics.tokenIds, options.request, task));
  Output output;
  output.text = "distance of the layers' caches (mean keys after RoPE and values)\n";
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (int row = 0; row < sharing.distances.rows; ++row) {
    nlohmann::ordered_json numbers = nlohmann::ordered_json::array();
    output.text += fmt::format("{:>4} ", row);
    for (int column = 0; column < sharing.distances.columns; ++column) {
      numbers.push_back(sharing.distances.at(row, column));
      output.text += fmt::format(" {:>8.4g}", sharing.distances.at(row, column));
    }
    rows.push_back(std::move(numbers));
    output.text += "\n";
  }
  for (std::size_t layer = 0; layer < sharing.sharedFrom.size(); ++layer)
    if (sharing.sharedFrom[layer] != static_cast<int>(layer))
      output.text += fmt::format("layer {} reads the cache of layer {}\n", layer, sharing.sharedFrom[layer]);
  output.text +=
      fmt::format("cosine of the final states {:.4f}; {} pairs were refused\n", sharing.cosine, sharing.refused);
  output.json = {{"sharedFrom", sharing.sharedFrom},
                 {"distances", rows},
                 {"cosine", sharing.cosine},
                 {"refused", sharing.refused}};
  if (!options.output.empty()) {
    KVISTA_CHECK(writeSharingMap(options.output, {sharing.sharedFrom, sharing.cosine}));
    output.text += fmt::format("The map is in {}; its list may be edited, and `kvista plan --sharing` reads it.\n",
                               options.output);
  }
  return output;
}

}  // namespace

void addSharing(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"sharing", "Which layers can read the cache of another, and how unlike the layers' caches are",
               "kvista sharing resources/demo/model --stats demo.kvstats --count 2 -o map.json"},
              options, run);
  verb->add_option("model", options->model, "Checkpoint")->required();
  verb->add_option("--stats", options->statistics, "Statistics of `kvista calibrate`, whose text is read")->required();
  verb->add_option("--count", options->request.layers,
                   "Layers that shall read the cache of another; 0: distances alone")
      ->check(wholeNumber(0, 65535))
      ->capture_default_str();
  verb->add_option("--cosine", options->request.threshold, "Least cosine of the final states with and without sharing")
      ->check(CLI::Range(-1.0, 1.0))
      ->capture_default_str();
  verb->add_option("-o,--output", options->output, "File for the map");
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
