// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// experiment: many methods at many sizes on some texts, row by row into a folder.
#include "core/engine/experiment/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>
#include <regex>

#include "core/engine/memory_forecast.h"
#include "core/engine/methods/inputs.h"
#include "core/io/atomic_file.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

/// Makes the folder; one that is there already may have an earlier run's results.
Result<void> makeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directory(folder, error);
  if (error || !fs::is_directory(folder, error))
    return fail(ErrorCode::io,
                fmt::format("The folder {} cannot be made: {}.", folder.string(),
                            error ? error.message() : "a file has its name"),
                "Give another folder for the results.");
  return checkWritable(folder / "results.json");
}

/// Results so far of one of several processes; the first has all in the end.
fs::path resultsOf(const fs::path& folder, int rank) {
  return folder / (rank == 0 ? "results.json" : fmt::format("results-{}.json", rank));
}

/// What a run that was stopped left, of however many processes.
std::vector<fs::path> resultFiles(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    // Others, such as a copy that somebody made, are left alone.
    static const std::regex ours("results(-[0-9]{1,6})?[.]json");
    if (std::regex_match(entry.path().filename().string(), ours)) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

Result<std::vector<ExperimentRow>> knownRows(const std::vector<fs::path>& files) {
  std::vector<ExperimentRow> rows;
  constexpr const char* kHint = "Move it away, or give another folder for the results.";
  for (const fs::path& file : files) {
    const Result<nlohmann::json> json = readJsonFile(file);
    if (!json) return fail(json.error().code, json.error().message, kHint, json.error().detail);
    Fields fields(*json, file.string());
    std::ranges::move(fields.records<ExperimentRow>("rows"), std::back_inserter(rows));
    if (fields.has("earlier")) std::ranges::move(fields.records<ExperimentRow>("earlier"), std::back_inserter(rows));
    if (fields.error())
      return fail(ErrorCode::corruptFile,
                  fmt::format("{} does not hold results of an experiment: {}", file.string(), fields.error()->message),
                  kHint);
  }
  return rows;
}

/// What any of the processes knows, the same for all: they divide what is left.
Result<std::vector<ExperimentRow>> knownToAll(const std::vector<ExperimentRow>& rows, const ProcessGroup& processes,
                                              const Task& task) {
  if (processes.isAlone()) return rows;
  std::vector<ExperimentRow> all;
  KVISTA_ASSIGN(const std::vector<std::string> texts, processes.gatherTexts(listOf(rows).dump(), task));
  for (const std::string& text : texts)
    for (const nlohmann::json& json : nlohmann::json::parse(text)) {
      KVISTA_ASSIGN(ExperimentRow row, read<ExperimentRow>(json));
      if (row.figures && std::ranges::find(all, row.of, &ExperimentRow::of) == all.end()) all.push_back(std::move(row));
    }
  return all;
}

/// What the folder keeps: rows of the experiment, and those of earlier runs that are not among them, which another file
/// or a next run may ask for.
std::string resultsText(const std::string& name, const std::vector<ExperimentRow>& rows,
                        const std::vector<ExperimentRow>& known) {
  std::vector<ExperimentRow> earlier;
  for (const ExperimentRow& old : known)
    if (old.figures && std::ranges::find(rows, old.of, &ExperimentRow::of) == rows.end()) earlier.push_back(old);
  nlohmann::json json = {{"experiment", name}, {"rows", listOf(rows)}};
  if (!earlier.empty()) json["earlier"] = listOf(earlier);
  return json.dump(1);
}

/// With the first's results whole, those of the others are in them.
Result<void> removeParts(const fs::path& folder) {
  for (const fs::path& file : resultFiles(folder)) {
    std::error_code error;
    if (file != resultsOf(folder, 0) && !fs::remove(file, error))
      return fail(ErrorCode::io, fmt::format("{} cannot be removed: {}.", file.string(), error.message()),
                  "Remove it; results.json has what it holds.");
  }
  return {};
}

/// What processes that share an experiment must agree on.
std::string described(const Experiment& experiment, const nlohmann::json& specification,
                      const ExperimentSubject& subject) {
  std::string text =
      fmt::format("{} {:x}, model {}, statistics {}, texts", experiment.name,
                  std::hash<std::string>{}(specification.dump()), subject.modelHash, subject.statistics.tokensHash);
  for (const ExperimentText& each : subject.texts) text += fmt::format(" {} {}", each.name, each.windows.hash);
  return text;
}

/// Each selection under its name, or its files' without ending where that is empty or not there.
Result<std::vector<ExperimentText>> textsOf(Call& call, WorkModel& model, const std::vector<TextSelection>& selections,
                                            const std::vector<std::string>& names) {
  std::vector<ExperimentText> texts;
  for (const TextSelection& selection : selections) {
    KVISTA_ASSIGN(TokenWindows windows, readSelection(call, model, selection));
    std::string name = texts.size() < names.size() ? names[texts.size()] : std::string();
    const bool isNamed = !name.empty();
    for (const std::string& path : isNamed ? std::vector<std::string>{} : selection.paths)
      name += (name.empty() ? "" : " + ") + fs::path(path).stem().string();
    if (selection.skipWindows > 0 && !isNamed) name += fmt::format(" from window {}", selection.skipWindows);
    if (std::ranges::any_of(texts, [&](const ExperimentText& text) { return text.name == name; }))
      return fail(ErrorCode::invalidArgument, fmt::format("Two texts to measure on are called {}.", name),
                  "Give one of them another name.");
    texts.push_back({std::move(name), std::move(windows)});
  }
  if (texts.empty())
    return fail(ErrorCode::invalidArgument, "An experiment needs a text to measure on.", "Name at least one.");
  return texts;
}

}  // namespace

Result<nlohmann::json> experiment(Call& call) {
  Fields fields(call.params, "the parameters of experiment");
  KVISTA_ASSIGN(const Inputs inputs, openInputsWithStatistics(call, fields));
  const nlohmann::json* specification = fields.find("experiment");
  const auto selections = fields.records<TextSelection>("texts");
  const auto names = fields.has("names") ? fields.texts("names") : std::vector<std::string>{};
  const fs::path folder = fields.text("folder");
  if (fields.error()) return tl::unexpected(*fields.error());
  KVISTA_ASSIGN(const Experiment wanted, experimentFromJson(*specification));
  WorkModel& model = *inputs.model;
  if (model.plan)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} is an export and has its plan already.", model.checkpoint.path.string()),
                "Give the original model.");
  KVISTA_CHECK(makeFolder(folder));
  const ProcessGroup& processes = call.workspace.settings().processes;
  const std::vector<fs::path> files = resultFiles(folder);
  KVISTA_ASSIGN(const std::vector<ExperimentRow> found, knownRows(files));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  KVISTA_CHECK(checkMemory(planBytes(widestPlan(decoder->shape()), decoder->shape()), decoder->options().device,
                           "The decompositions"));
  KVISTA_ASSIGN(const std::vector<ExperimentText> texts, textsOf(call, model, selections, names));
  const ExperimentSubject subject{*decoder, model.hash, *inputs.statistics, texts, call.workspace.settings().version,
                                  folder};
  KVISTA_CHECK(processes.agree("The experiment, its model, statistics and texts",
                               described(wanted, *specification, subject), call.task));
  KVISTA_ASSIGN(const std::vector<ExperimentRow> known, knownToAll(found, processes, call.task));
  const auto write = [&](const std::vector<ExperimentRow>& rows) -> Result<void> {
    KVISTA_CHECK(writeFileAtomically(resultsOf(folder, processes.rank()), resultsText(wanted.name, rows, known)));
    if (!processes.isFirst()) return {};
    KVISTA_CHECK(writeFileAtomically(folder / "results.csv", experimentCsv(rows)));
    KVISTA_CHECK(writeFileAtomically(folder / "results.md", experimentMarkdown(wanted, rows)));
    return writeFileAtomically(folder / "results.html", experimentPage(wanted, rows, subject));
  };
  std::vector<ExperimentRow> untold;  // Rows that came too soon after the last report.
  const auto keep = [&](const std::vector<ExperimentRow>& rows, const std::vector<ExperimentRow>& fresh) {
    untold.insert(untold.end(), fresh.begin(), fresh.end());
    return write(rows);  // All files after each plan: whatever ends the run, they are whole.
  };
  const Task telling{call.task.stop, [&](const ProgressReport& each) {
                       if (call.report({each.stage,
                                        static_cast<std::int64_t>(each.done),
                                        static_cast<std::int64_t>(each.total),
                                        each.unit,
                                        {},
                                        {},
                                        {},
                                        untold}))
                         untold.clear();
                     }};
  KVISTA_ASSIGN(const std::vector<ExperimentRow> rows, runExperiment(wanted, subject, known, keep, telling, processes));
  if (processes.isFirst()) {
    KVISTA_CHECK(write(rows));
    KVISTA_CHECK(removeParts(folder));
  }
  return nlohmann::json{{"rows", listOf(rows)}, {"tables", experimentMarkdown(wanted, rows)}};
}

}  // namespace kvista
