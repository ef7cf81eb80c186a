// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/experiment/experiment.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "app/cli/engine_methods.h"
#include "app/cli/named_texts.h"
#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string file, model, folder, statistics;
  TextSettings text;
  std::vector<std::string> evaluationPaths;
  std::int64_t evaluationWindows = 0;
  ComputeSettings compute;
};

/// Those given, or the folder's own.
std::string statisticsPath(const Options& options) {
  return options.statistics.empty() ? (fs::path(options.folder) / "statistics.kvstats").string() : options.statistics;
}

/// Makes sure that there are statistics: those given, those that an earlier run left in the folder where they are of
/// the same model and text, or new ones.
Result<void> ensureStatistics(const Options& options, Workspace& workspace, const Task& task) {
  const std::string file = statisticsPath(options);
  if (!options.statistics.empty()) return {};
  KVISTA_ASSIGN(const auto model, workspace.model(options.model));
  TextSelection text = selectionOf(options.text);
  if (text.window == 0) text.window = usualWindow(model->description.maximumPositions);
  if (options.text.tokens > 0) {
    const std::int64_t fitting = std::max<std::int64_t>(1, options.text.tokens / text.window);
    text.windows = text.windows == 0 ? fitting : std::min(text.windows, fitting);
  }
  if (fs::exists(file)) {
    KVISTA_ASSIGN(const Statistics statistics, loadStatistics(file));
    const TextRecipe& recipe = statistics.recipe;
    const bool isSame = statistics.modelHash == model->hash && recipe.paths == text.paths &&
                        recipe.skipWindows == text.skipWindows && recipe.seed == text.seed &&
                        recipe.weights == text.weights && recipe.beginWithBos == text.beginWithBos &&
                        recipe.window == text.window && recipe.windows.value_or(0) == text.windows;
    if (isSame) return {};
    spdlog::warn("{} is of another model or text and is made anew.", file);
  }
  std::error_code error;
  fs::create_directory(options.folder, error);  // What is wrong with it the engine says.
  KVISTA_CHECK(
      askEngine(workspace, "calibrate", {{"model", options.model}, {"text", toJson(text)}, {"output", file}}, task));
  return {};
}

/// Texts to measure on: those with names under these; the others each by itself, named after its file (an empty name).
Result<std::vector<NamedText>> evaluationTexts(const Options& options) {
  KVISTA_ASSIGN(std::vector<NamedText> texts, namedTexts(options.evaluationPaths));
  if (texts.empty())
    for (const std::string& path : options.evaluationPaths) texts.push_back({{}, {path}});
  for (const NamedText& text : texts) KVISTA_CHECK(checkTexts(text.paths));
  return texts;
}

/// Each text that was given, in windows like those of calibration; else what calibration left of its own.
std::vector<TextSelection> selectionsOf(const std::vector<NamedText>& texts, const Statistics& statistics,
                                        std::int64_t windows) {
  if (texts.empty()) {
    TextSelection unseen = unseenText(statistics);
    unseen.windows = windows;
    return {unseen};
  }
  TextSelection selection{{}, statistics.recipe.window, windows, 0, {}, statistics.recipe.beginWithBos};
  std::vector<TextSelection> selections;
  for (const NamedText& text : texts) {
    selection.paths = text.paths;
    selections.push_back(selection);
  }
  return selections;
}

Result<Output> run(const Options& options, const Task& task) {
  if (options.text.recipe.paths.empty() && options.statistics.empty())
    return fail(ErrorCode::invalidArgument,
                "Either --text to calibrate on or --stats of an earlier calibration is needed.");
  KVISTA_ASSIGN(const nlohmann::json json, readJsonFile(options.file));
  KVISTA_ASSIGN(const Experiment experiment, experimentFromJson(json));
  KVISTA_CHECK(checkTexts(options.text.recipe.paths));
  KVISTA_ASSIGN(const std::vector<NamedText> evaluated, evaluationTexts(options));
  KVISTA_ASSIGN(const ProcessGroup processes, joinProcesses({}));  // They exchange no tensors of GPUs.
  KVISTA_ASSIGN(const ComputeSettings compute, ownSettings(options.compute));
  EngineSettings settings = engineSettings(compute);
  settings.processes = processes;
  Workspace workspace(settings);
  if (processes.isFirst()) KVISTA_CHECK(ensureStatistics(options, workspace, task));
  KVISTA_CHECK(processes.meet(task));  // The others find what the first has made.
  const std::string file = statisticsPath(options);
  KVISTA_ASSIGN(const auto model, workspace.model(options.model));
  KVISTA_ASSIGN(const auto statistics, workspace.statistics(file, *model));
  nlohmann::json texts = nlohmann::json::array(), names = nlohmann::json::array();
  for (const TextSelection& text : selectionsOf(evaluated, *statistics, options.evaluationWindows))
    texts.push_back(toJson(text));
  for (const NamedText& text : evaluated) names.push_back(text.name);
  KVISTA_ASSIGN(const nlohmann::json answer, askEngine(workspace, "experiment",
                                                       {{"model", options.model},
                                                        {"statistics", file},
                                                        {"experiment", json},
                                                        {"texts", texts},
                                                        {"names", names},
                                                        {"folder", options.folder}},
                                                       task));

  const nlohmann::json& rows = answer["rows"];
  const auto hasFailed = [](const nlohmann::json& row) { return !row.contains("figures"); };
  // The others are of the model as it is.
  const auto isOfSystem = [](const nlohmann::json& row) {
    return !row["system"].get_ref<const std::string&>().empty();
  };
  if (std::ranges::all_of(rows, [&](const nlohmann::json& row) { return hasFailed(row) || !isOfSystem(row); }))
    return fail(ErrorCode::invalidArgument,
                fmt::format("Of {} of the experiment none could be measured, the first of them for this reason: {}",
                            amount(std::ranges::count_if(rows, isOfSystem), "row"),
                            (*std::ranges::find_if(rows, isOfSystem))["problem"].get<std::string>()),
                fmt::format("{} says why of each.", (fs::path(options.folder) / "results.md").string()));
  const auto failed = std::ranges::count_if(rows, hasFailed);
  Output output;
  output.json = {{"experiment", experiment.name}, {"folder", options.folder}, {"failed", failed}, {"rows", rows}};
  output.text = fmt::format("{}\n{}{}; results.html (with plots), .md, .csv and .json are in {}.\n",
                            answer["tables"].get<std::string>(), amount(rows.size(), "row"),
                            failed > 0 ? fmt::format(", {} of which failed", failed) : "", options.folder);
  return output;
}

}  // namespace

void addExperiment(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"experiment",
               "Compare many methods at many sizes on any texts: tables, plots, CSV; goes on where it was stopped",
               "kvista experiment resources/experiments/demo.json resources/demo/model --text "
               "resources/demo/text/calibration.txt --window 256 --windows 16 --evaluate-windows 4 -o demo-experiment",
               true},
              options, run);
  verb->add_option("experiment", options->file, "JSON file that says what to compare (resources/experiments has some)")
      ->required();
  verb->add_option("model", options->model, "Checkpoint")->required();
  verb->add_option("-o,--output", options->folder, "Folder for results; one that has some goes on with them")
      ->required();
  auto* statistics = verb->add_option("--stats", options->statistics,
                                      "Statistics of `kvista calibrate` (instead of --text and what belongs to it)");
  const auto others = static_cast<std::ptrdiff_t>(verb->get_options().size());
  addTextOptions(verb, options->text, false);
  const std::vector<CLI::Option*> all = verb->get_options();
  std::for_each(all.begin() + others, all.end(), [&](CLI::Option* ofText) { ofText->excludes(statistics); });
  verb->add_option("--evaluate-on", options->evaluationPaths,
                   "Texts to measure on, each by itself, or NAME=FILE, those of one name together (default: what "
                   "calibration left of --text)");
  verb->add_option("--evaluate-windows", options->evaluationWindows, "At most this many windows of each")
      ->check(wholeNumber(1));
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
