// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// experiment: many methods at many sizes on some texts, row by row into a folder.
#include "core/engine/experiment/experiment.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include <fmt/format.h>

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
    return fail(ErrorCode::io, fmt::format("The folder {} cannot be made: {}.", folder.string(), error ? error.message() : "a file has its name"),
                "Give another folder for the results.");
  return checkWritable(folder / "results.json");
}

Result<std::vector<ExperimentRow>> knownRows(const fs::path& file) {
  std::vector<ExperimentRow> rows;
  if (!fs::exists(file)) return rows;
  constexpr const char* kHint = "Move it away, or give another folder for the results.";
  const Result<nlohmann::json> json = readJsonFile(file);
  if (!json) return fail(json.error().code, json.error().message, kHint, json.error().detail);
  Fields fields(*json, file.string());
  rows = fields.records<ExperimentRow>("rows");
  if (fields.has("earlier")) std::ranges::move(fields.records<ExperimentRow>("earlier"), std::back_inserter(rows));
  if (!fields.error()) return rows;
  return fail(ErrorCode::corruptFile,
              fmt::format("{} does not hold results of an experiment: {}", file.string(), fields.error()->message), kHint);
}

/// What the folder keeps: rows of the experiment, and those of earlier runs that are not among them, which another file or a next run may
/// ask for.
std::string resultsText(const std::string& name, const std::vector<ExperimentRow>& rows, const std::vector<ExperimentRow>& known) {
  std::vector<ExperimentRow> earlier;
  for (const ExperimentRow& old : known)
    if (old.figures && std::ranges::find(rows, old.of, &ExperimentRow::of) == rows.end()) earlier.push_back(old);
  nlohmann::json json = {{"experiment", name}, {"rows", listOf(rows)}};
  if (!earlier.empty()) json["earlier"] = listOf(earlier);
  return json.dump(1);
}

/// Each selection under its name, or its files' without ending where that is empty or not there.
Result<std::vector<ExperimentText>> textsOf(Call& call, WorkModel& model, const std::vector<TextSelection>& selections, const std::vector<std::string>& names) {
  std::vector<ExperimentText> texts;
  for (const TextSelection& selection : selections) {
    KVISTA_ASSIGN(TokenWindows windows, readSelection(call, model, selection));
    std::string name = texts.size() < names.size() ? names[texts.size()] : std::string();
    const bool isNamed = !name.empty();
    for (const std::string& path : isNamed ? std::vector<std::string>{} : selection.paths) name += (name.empty() ? "" : " + ") + fs::path(path).stem().string();
    if (selection.skipWindows > 0 && !isNamed) name += fmt::format(" from window {}", selection.skipWindows);
    if (std::ranges::any_of(texts, [&](const ExperimentText& text) { return text.name == name; }))
      return fail(ErrorCode::invalidArgument, fmt::format("Two texts to measure on are called {}.", name), "Give one of them another name.");
    texts.push_back({std::move(name), std::move(windows)});
  }
  if (texts.empty()) return fail(ErrorCode::invalidArgument, "An experiment needs a text to measure on.", "Name at least one.");
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
    return fail(ErrorCode::invalidArgument, fmt::format("{} is an export and has its plan already.", model.checkpoint.path.string()), "Give the original model.");
  KVISTA_CHECK(makeFolder(folder));
  const fs::path results = folder / "results.json";
  KVISTA_ASSIGN(const std::vector<ExperimentRow> known, knownRows(results));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  KVISTA_CHECK(checkMemory(planBytes(widestPlan(decoder->shape()), decoder->shape()), decoder->options().device, "The decompositions"));
  KVISTA_ASSIGN(const std::vector<ExperimentText> texts, textsOf(call, model, selections, names));
  const ExperimentSubject subject{*decoder, model.hash, *inputs.statistics, texts, call.workspace.settings().version, folder};
  const auto write = [&](const std::vector<ExperimentRow>& rows) -> Result<void> {
    KVISTA_CHECK(writeFileAtomically(results, resultsText(wanted.name, rows, known)));
    KVISTA_CHECK(writeFileAtomically(folder / "results.csv", experimentCsv(rows)));
    KVISTA_CHECK(writeFileAtomically(folder / "results.md", experimentMarkdown(wanted, rows)));
    return writeFileAtomically(folder / "results.html", experimentPage(wanted, rows, subject));
  };
  const std::vector<ExperimentRow> asked = rowsToMeasure(wanted, subject);
  std::vector<ExperimentRow> untold;  // Rows that came too soon after the last report.
  std::size_t seen = 0;
  const auto keep = [&](const std::vector<ExperimentRow>& rows) {
    untold.insert(untold.end(), rows.begin() + static_cast<std::ptrdiff_t>(seen), rows.end());
    seen = rows.size();
    return write(withKnown(rows, asked, known));  // All files after each plan: whatever ends the run, they are whole.
  };
  const Task telling{call.task.stop, [&](const ProgressReport& each) {
                       if (call.report({each.stage, static_cast<std::int64_t>(each.done), static_cast<std::int64_t>(each.total), each.unit, {}, {}, {}, untold})) untold.clear();
                     }};
  KVISTA_ASSIGN(const std::vector<ExperimentRow> rows, runExperiment(wanted, subject, known, keep, telling));
  KVISTA_CHECK(write(rows));
  return nlohmann::json{{"rows", listOf(rows)}, {"tables", experimentMarkdown(wanted, rows)}};
}

}  // namespace kvista
