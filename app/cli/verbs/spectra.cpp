// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/engine_methods.h"
#include "app/cli/option_checks.h"
#include "app/cli/verb.h"

namespace kvista {
namespace {

struct Options {
  std::string subject;
  std::string statistics;
  std::vector<int> layers;
  ComputeSettings compute;
};

Result<Output> run(const Options& options, const Task& task) {
  Workspace workspace(engineSettings(options.compute));
  KVISTA_ASSIGN(nlohmann::json params, subjectParams(workspace, options.subject));
  if (!options.statistics.empty()) params["statistics"] = options.statistics;
  if (!params.contains("statistics"))
    return fail(ErrorCode::invalidArgument, fmt::format("{} names no statistics.", options.subject),
                "Give a file of `kvista calibrate` with --stats.");
  params.erase("plan");
  if (!options.layers.empty()) params["layers"] = options.layers;
  KVISTA_ASSIGN(const nlohmann::json answer, askEngine(workspace, "layerSpectra", params, task));
  Output output;
  output.json["spectra"] = nlohmann::ordered_json::array();
  output.text = "layer  side    normalised rank  effective  stable  participation   90 %   95 %   99 % 99.9 % of energy in\n";
  for (const nlohmann::json& each : answer) {
    KVISTA_ASSIGN(const auto record, read<LayerSpectrumRecord>(each));
    const SpectrumMeasures& found = record.measures;
    const char* side = record.side == Side::key ? "key" : "value";
    output.json["spectra"].push_back({{"layer", record.layer},
                                      {"side", side},
                                      {"normalisedEffectiveRank", found.normalisedEffectiveRank},
                                      {"effectiveRank", found.effectiveRank},
                                      {"stableRank", found.stableRank},
                                      {"participationRatio", found.participationRatio},
                                      {"energyRank90", found.energyRank90},
                                      {"energyRank95", found.energyRank95},
                                      {"energyRank99", found.energyRank99},
                                      {"energyRank999", found.energyRank999},
                                      {"singularValues", record.singularValues}});
    output.text += fmt::format("{:>5}  {:<6} {:>16.4f} {:>10.1f} {:>7.1f} {:>14.1f} {:>6} {:>6} {:>6} {:>6} of {}\n", record.layer, side,
                               found.normalisedEffectiveRank, found.effectiveRank, found.stableRank, found.participationRatio, found.energyRank90,
                               found.energyRank95, found.energyRank99, found.energyRank999, record.singularValues.size());
  }
  return output;
}

}  // namespace

void addSpectra(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(app, invocation,
                           {"spectra", "How many directions the keys and values of each layer need; --json has the singular values",
                            "kvista spectra resources/demo/model --stats demo.kvstats --layers 0 3"},
                           options, run);
  verb->add_option("subject", options->subject, "Checkpoint, or project (.kvista), whose statistics are taken")->required();
  verb->add_option("--stats", options->statistics, "Statistics of `kvista calibrate`");
  verb->add_option("--layers", options->layers, "Layers, from 0 (default: all)")->check(wholeNumber(0, 1'000'000));
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
