// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>

#include "app/cli/engine_methods.h"
#include "app/cli/model.h"
#include "app/cli/option_checks.h"
#include "app/cli/output_file.h"
#include "app/cli/spectra_page.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/calibration/statistics_file.h"
#include "core/engine/analysis.h"
#include "core/io/atomic_file.h"

namespace kvista {
namespace {

struct Options {
  std::string page;
  std::vector<std::string> subjects, statistics;
  std::vector<int> layers;
  std::string moments = "raw", position = "before";
  bool heads = false, logits = false;
  std::vector<double> truncate;
  std::int64_t windows = 4;
  ComputeSettings compute;
};

const char* nameOf(Side side) { return side == Side::key ? "key" : "value"; }

int directionsAbove(const CacheSpectrum& spectrum, double edge) {
  return static_cast<int>(std::ranges::count_if(spectrum.singularValues, [=](double value) { return value > edge; }));
}

nlohmann::ordered_json recordOf(const CacheSpectrum& spectrum, const SpectrumMeasures& found, std::size_t text,
                                double tokens) {
  const double edge = noiseEdge(spectrum.singularValues, tokens);
  nlohmann::ordered_json record = {
      {"layer", spectrum.layer},
      {"side", nameOf(spectrum.side)},
      {"text", text},
      {"normalisedEffectiveRank", found.normalisedEffectiveRank},
      {"effectiveRank", found.effectiveRank},
      {"stableRank", found.stableRank},
      {"participationRatio", found.participationRatio},
      {"energyRank90", found.energyRank90},
      {"energyRank95", found.energyRank95},
      {"energyRank99", found.energyRank99},
      {"energyRank999", found.energyRank999},
      {"noiseEdge", edge},
      {"directionsAboveNoise", directionsAbove(spectrum, edge)},
      {"singularValues", std::vector<float>(spectrum.singularValues.begin(), spectrum.singularValues.end())}};
  if (spectrum.head >= 0) record["head"] = spectrum.head;
  return record;
}

std::string tableOf(const TextSpectra& text) {
  std::string table =
      "layer  side    normalised rank  effective  stable  participation   90 %   95 %   99 % 99.9 % of energy in   "
      "above noise\n";
  for (std::size_t i = 0; i < text.spectra.size(); ++i) {
    const CacheSpectrum& spectrum = text.spectra[i];
    const SpectrumMeasures& found = text.measures[i];
    table += fmt::format(
        "{:>5}  {:<6} {:>16.4f} {:>10.1f} {:>7.1f} {:>14.1f} {:>6} {:>6} {:>6} {:>6} of {:<9} {:>13}\n", spectrum.layer,
        nameOf(spectrum.side), found.normalisedEffectiveRank, found.effectiveRank, found.stableRank,
        found.participationRatio, found.energyRank90, found.energyRank95, found.energyRank99, found.energyRank999,
        spectrum.singularValues.size(), directionsAbove(spectrum, noiseEdge(spectrum.singularValues, text.tokens)));
  }
  return table;
}

/// A line a layer, a column a head.
std::string tableOfHeads(const TextSpectra& text, Side side, bool ofLogits) {
  std::string table;
  int layer = -1;
  for (std::size_t i = 0; i < text.spectra.size(); ++i) {
    if (text.spectra[i].side != side) continue;
    if (text.spectra[i].layer != layer)
      table += fmt::format("{}{:>4} ", table.empty() ? "" : "\n", layer = text.spectra[i].layer);
    table += fmt::format(" {:.4f}", text.measures[i].normalisedEffectiveRank);
  }
  return table.empty() ? table
                       : fmt::format("normalised effective rank of {}s{}, by layer and head\n{}\n", nameOf(side),
                                     ofLogits ? "' products with their queries" : "", table);
}

double meanRank(const TextSpectra& text, Side side) {
  double sum = 0;
  int count = 0;
  for (std::size_t i = 0; i < text.spectra.size(); ++i) {
    if (text.spectra[i].side != side) continue;
    sum += text.measures[i].normalisedEffectiveRank;
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

/// How the effective rank goes with what truncation costs, at each kept part, over layers, sides and texts.
void addCorrelations(const Options& options, const std::vector<TextSpectra>& texts, Output& output) {
  output.json["truncation"] = nlohmann::ordered_json::array();
  output.json["correlations"] = nlohmann::ordered_json::array();
  output.text +=
      "\nrise of the loss, nats a token, when one layer's keys or values alone keep a part of their directions\n";
  for (std::size_t t = 0; t < texts.size(); ++t) {
    for (const TruncationLoss& each : texts[t].losses) {
      output.json["truncation"].push_back(
          {{"layer", each.layer}, {"side", nameOf(each.side)}, {"text", t}, {"kept", each.kept}, {"loss", each.loss}});
      const std::string of = texts.size() > 1 ? "  " + texts[t].name : "";
      output.text += fmt::format("{:>5}  {:<6} kept {:.3f} {:>+9.5f}{}\n", each.layer, nameOf(each.side), each.kept,
                                 each.loss, of);
    }
  }
  output.text += "correlation of the normalised effective rank with it:\n";
  for (std::size_t k = 0; k < options.truncate.size(); ++k) {
    const RanksAndLosses all = ranksAndLosses(texts, k, options.truncate.size());
    const double linear = all.linear(), ranked = all.ranked();
    output.json["correlations"].push_back({{"kept", options.truncate[k]}, {"pearson", linear}, {"spearman", ranked}});
    output.text +=
        std::isnan(linear)
            ? fmt::format("  kept {:.3f}: none, since the loss or the rank is the same everywhere\n",
                          options.truncate[k])
            : fmt::format("  kept {:.3f}: Pearson {:+.3f}, Spearman {:+.3f}\n", options.truncate[k], linear, ranked);
  }
}

SpectraRequest requestOf(const Options& options) {
  SpectraRequest request;
  request.byHead = options.heads || options.logits;
  request.logits = options.logits;
  request.position = options.position == "after" ? KeyPosition::afterRope : KeyPosition::beforeRope;
  for (const auto& [name, moments] : kCacheMoments)
    if (name == options.moments) request.moments = moments;
  return request;
}

Result<std::vector<int>> layersOf(const Options& options, const ModelShape& shape) {
  std::vector<int> layers = options.layers.empty() ? allLayers(shape) : options.layers;
  std::ranges::sort(layers);
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  if (layers.back() >= shape.layers)
    return fail(ErrorCode::invalidArgument,
                fmt::format("There is no layer {}; the model has layers 0 to {}.", layers.back(), shape.layers - 1));
  return layers;
}

/// Of a checkpoint or project, on those of the statistics that are its own; `isTaken` notes which.
Result<std::vector<TextSpectra>> spectraOf(const Options& options, const std::string& subject,
                                           std::vector<bool>& isTaken, const Task& task) {
  std::string path = subject;
  std::vector<std::string> files = options.statistics;
  if (looksLikeProject(subject)) {
    KVISTA_ASSIGN(const Project project, loadProject(subject));
    path = project.model.string();
    if (files.empty() && !project.statistics.empty()) files = {project.statistics.string()};
  }
  if (files.empty())
    return fail(ErrorCode::invalidArgument, fmt::format("{} names no statistics.", subject),
                "Give a file of `kvista calibrate` with --stats.");
  KVISTA_ASSIGN(const LoadedModel model, loadModel(path, options.compute, task));
  KVISTA_ASSIGN(const std::string hash, contentHash(model.checkpoint));
  KVISTA_ASSIGN(const std::vector<int> layers, layersOf(options, model.decoder->shape()));
  std::vector<TextSpectra> texts;
  for (std::size_t i = 0; i < files.size(); ++i) {
    KVISTA_ASSIGN(const std::string of, modelOfStatistics(files[i]));
    if (of != hash) {
      if (options.subjects.size() > 1 && !options.statistics.empty()) continue;
      return fail(
          ErrorCode::invalidArgument,
          fmt::format("The statistics {} are of another model (content {} where {} was expected).", files[i], of, hash),
          "Calibrate this model.");
    }
    KVISTA_ASSIGN(const Statistics statistics, loadStatistics(files[i]));
    if (i < isTaken.size()) isTaken[i] = true;
    TextSpectra text;
    text.model = std::filesystem::absolute(path).lexically_normal().filename().string();
    text.file = files[i];
    text.name = options.subjects.size() > 1 ? fmt::format("{}, {}", text.model, text.file) : text.file;
    text.tokens = static_cast<double>(statistics.tokens);
    KVISTA_ASSIGN(text.spectra, cacheSpectra(*model.decoder, statistics, layers, requestOf(options), task));
    for (const CacheSpectrum& spectrum : text.spectra) text.measures.push_back(measure(spectrum.singularValues));
    if (!options.truncate.empty()) {
      KVISTA_ASSIGN(text.losses,
                    measureTruncation(*model.decoder, statistics, layers, options.truncate, options.windows, task));
    }
    texts.push_back(std::move(text));
  }
  if (texts.empty())
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("Of {} none is of {}.", amount(files.size(), "file of statistics", "files of statistics"), subject),
        "Give one of `kvista calibrate` of this model with --stats.");
  return texts;
}

Result<Output> run(const Options& options, const Task& task) {
  if (!options.truncate.empty() && (options.heads || options.logits || options.position != "before"))
    return fail(ErrorCode::invalidArgument, "Truncation is measured of whole layers before RoPE.",
                "Leave out --heads, --logits and --position.");
  if (!options.page.empty())
    KVISTA_CHECK(checkOutputFile(options.page, {options.statistics.begin(), options.statistics.end()}));
  const SpectraRequest request = requestOf(options);
  std::vector<TextSpectra> texts;
  std::vector<bool> isTaken(options.statistics.size());
  for (const std::string& subject : options.subjects) {
    KVISTA_ASSIGN(std::vector<TextSpectra> own, spectraOf(options, subject, isTaken, task));
    std::ranges::move(own, std::back_inserter(texts));
  }
  if (const auto other = std::ranges::find(isTaken, false); other != isTaken.end())
    return fail(ErrorCode::invalidArgument,
                fmt::format("The statistics {} are of none of the models.",
                            options.statistics[static_cast<std::size_t>(other - isTaken.begin())]),
                "Leave them out, or name their model too.");

  Output output;
  output.json["spectra"] = nlohmann::ordered_json::array();
  output.json["texts"] = nlohmann::ordered_json::array();
  output.json["warnings"] = nlohmann::ordered_json::array();
  std::string warnings;
  for (std::size_t t = 0; t < texts.size(); ++t) {
    const TextSpectra& text = texts[t];
    if (texts.size() > 1) output.text += fmt::format("{}{}\n", t == 0 ? "" : "\n", text.name);
    output.text += request.byHead
                       ? tableOfHeads(text, Side::key, request.logits) + tableOfHeads(text, Side::value, false)
                       : tableOf(text);
    for (std::size_t i = 0; i < text.spectra.size(); ++i)
      output.json["spectra"].push_back(recordOf(text.spectra[i], text.measures[i], t, text.tokens));
    output.json["texts"].push_back({{"model", text.model},
                                    {"statistics", text.file},
                                    {"tokens", text.tokens},
                                    {"meanKeys", meanRank(text, Side::key)},
                                    {"meanValues", meanRank(text, Side::value)}});
    std::size_t widest = 0;
    for (const CacheSpectrum& spectrum : text.spectra) widest = std::max(widest, spectrum.singularValues.size());
    if (text.tokens < kTokensADirection * static_cast<double>(widest)) {
      const std::string warning = fmt::format(
          "{}: {:.0f} tokens for {} directions are few; below {:.0f} a direction ranks look other than they are.",
          text.name, text.tokens, widest, kTokensADirection);
      output.json["warnings"].push_back(warning);
      warnings += "warning: " + warning + "\n";
    }
  }
  if (texts.size() > 1) {
    output.text += "\nmean normalised effective rank     keys   values\n";
    for (const TextSpectra& text : texts)
      output.text +=
          fmt::format("{:<32} {:>6.4f} {:>8.4f}\n", text.name, meanRank(text, Side::key), meanRank(text, Side::value));
  }
  if (!options.truncate.empty()) addCorrelations(options, texts, output);
  output.text += warnings;
  if (!options.page.empty()) {
    KVISTA_CHECK(writeFileAtomically(options.page, spectraPage(texts, options.truncate)));
    output.json["page"] = options.page;
    output.text +=
        fmt::format("Heat tables{} are in {}.\n", options.truncate.empty() ? "" : " and scatter plots", options.page);
  }
  return output;
}

}  // namespace

void addSpectra(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  std::vector<std::string> moments;
  for (const auto& [name, value] : kCacheMoments) moments.emplace_back(name);
  CLI::App* verb =
      addVerb(app, invocation,
              {"spectra", "How many directions the keys and values of each layer need; --json has the singular values",
               "kvista spectra resources/demo/model --stats demo.kvstats --layers 0 3"},
              options, run);
  verb->add_option("subject", options->subjects,
                   "Checkpoint, or project (.kvista), whose statistics are taken; several are put side by side")
      ->required();
  verb->add_option("--stats", options->statistics,
                   "Statistics of `kvista calibrate`; several, of several texts, are put side by side, each with the "
                   "model that it is of");
  verb->add_option("--layers", options->layers, "Layers, from 0 (default: all)")->check(wholeNumber(0, 1'000'000));
  verb->add_flag("--heads", options->heads, "Head by head");
  verb->add_option("--position", options->position, "Keys before RoPE, or after it (head by head)")
      ->check(oneOf({"before", "after"}))
      ->capture_default_str();
  verb->add_option("--moments", options->moments,
                   "As they are, around the mean, or without the first 4 tokens of each window")
      ->check(oneOf(moments))
      ->capture_default_str();
  verb->add_flag("--logits", options->logits, "Of the scores of each head's keys with its queries after RoPE");
  verb->add_option("--truncate", options->truncate,
                   "Measure what keeping these parts of each layer's directions costs, and how ranks go with it")
      ->check(positiveNumber(1));
  verb->add_option("--windows", options->windows, "Windows to measure that on")
      ->check(wholeNumber(1))
      ->capture_default_str();
  verb->add_option("-o,--output", options->page,
                   "HTML page to write, with ranks as heat tables and, with --truncate, against what it costs");
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
