// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <ranges>
#include <set>
#include <span>

#include "core/engine/experiment/trial.h"
#include "core/evaluate/perplexity.h"
#include "core/model/torch_guard.h"
#include "core/protocol/fields.h"

namespace kvista {
namespace {

/// A row to be filled, and how.
struct Entry {
  ExperimentRow row;
  Trial trial;
  /// Of the subject's texts; the entry of the model as it is on the same predictions.
  std::size_t text = 0, original = 0;
  std::size_t cell = 0;    ///< Those of one system at one value share a number.
  std::string label = {};  ///< What progress says; empty for the model as it is.
};

/// All rows in the order of tables: of each sweep the model as it is, where no sweep before had it, then its systems at
/// their values.
std::vector<Entry> entriesOf(const Experiment& experiment, const ExperimentSubject& subject) {
  std::vector<Entry> entries;
  std::map<std::string, std::size_t> originals;
  std::size_t cells = 0, cell = 0;
  for (const ExperimentSweep& sweep : experiment.sweeps) cells += sweep.systems.size() * sweep.values.size();
  const auto add = [&](const Trial& trial, std::size_t text, const Target& target) -> Entry& {
    const ExperimentText& on = subject.texts[text];
    ExperimentRow row;
    row.text = on.name;
    row.target = target;
    row.of = keyOf(trial, subject, on);
    return entries.emplace_back(Entry{std::move(row), trial, text, entries.size(), cell});
  };
  for (const ExperimentSweep& sweep : experiment.sweeps) {
    std::vector<std::size_t> ofTexts;
    for (std::size_t text = 0; text < subject.texts.size(); ++text) {
      const Entry& entry = add(trialOfOriginal(sweep), text, {Target::Kind::share, 1});
      const auto [first, isNew] = originals.emplace(entry.row.of, entry.original);
      ofTexts.push_back(first->second);
      if (!isNew) entries.pop_back();
    }
    for (const ExperimentSystem& system : sweep.systems)
      for (std::size_t index = 0; index < sweep.values.size(); ++index) {
        ++cell;
        for (std::size_t text = 0; text < subject.texts.size(); ++text) {
          Entry& entry = add(trialAt(sweep, system, index, subject), text, {sweep.unit, sweep.values[index]});
          entry.original = ofTexts[text];
          entry.row.sweep = sweep.name;
          entry.row.system = system.name;
          entry.label = fmt::format("{} of {}, {} at {:.4g}", cell, cells, system.name, sweep.values[index]);
        }
      }
  }
  return entries;
}

/// Whether what one makes before it measures serves the other.
bool shareTheirMaking(const Trial& one, const Trial& other) {
  return one.plan == other.plan && one.refine == other.refine && trainedPredictor(one) == trainedPredictor(other) &&
         (one.plan.has_value() || trainedPredictor(one).has_value());
}

/// Measures rows and remembers what was known.
class Run {
 public:
  Run(const Experiment& experiment, const ExperimentSubject& subject, const std::vector<ExperimentRow>& known,
      const KeepRows& keep, const Task& task)
      : subject_(subject),
        keep_(keep),
        task_(task),
        entries_(entriesOf(experiment, subject)),
        isTold_(entries_.size()) {
    for (const ExperimentRow& row : known)
      if (row.figures) answers_.emplace(row.of, row);
  }

  /// What is not known, each row once: lists of entries that are measured together, since they share what is made
  /// before.
  [[nodiscard]] std::vector<std::vector<std::size_t>> batches() const {
    std::vector<std::vector<std::size_t>> batches;
    std::set<std::string> taken;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const Entry& entry = entries_[i];
      if (isOriginal(i) || answers_.contains(entry.row.of) || !taken.insert(entry.row.of).second) continue;
      const Entry* last = batches.empty() ? nullptr : &entries_[batches.back().back()];
      if (last && (last->cell == entry.cell || shareTheirMaking(last->trial, entry.trial)))
        batches.back().push_back(i);
      else
        batches.push_back({i});
    }
    return batches;
  }

  Result<void> measure(const std::vector<std::size_t>& batch) {
    std::vector<std::size_t> originals;
    for (const std::size_t i : batch) originals.push_back(entries_[i].original);
    KVISTA_CHECK(answer(originals));
    const auto sameCell = [&](std::size_t one, std::size_t other) {
      return entries_[one].cell == entries_[other].cell;
    };
    for (auto begin = batch.begin(); begin != batch.end();) {
      const auto end = std::ranges::find_if_not(begin, batch.end(), [&](std::size_t i) { return sameCell(*begin, i); });
      KVISTA_CHECK(answer(std::span(begin, end)));
      begin = end;
    }
    return {};
  }

  /// What this process has measured.
  [[nodiscard]] const std::vector<ExperimentRow>& own() const { return own_; }
  void take(const ExperimentRow& measuredElsewhere) {
    answers_.insert_or_assign(measuredElsewhere.of, measuredElsewhere);
  }

  /// In order and without those to come.
  [[nodiscard]] std::vector<ExperimentRow> rows() const {
    std::vector<ExperimentRow> rows;
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (auto row = rowOf(i)) rows.push_back(*std::move(row));
    return rows;
  }

 private:
  [[nodiscard]] bool isOriginal(std::size_t entry) const { return entries_[entry].original == entry; }

  [[nodiscard]] std::optional<ExperimentRow> rowOf(std::size_t entry) const {
    const auto answer = answers_.find(entries_[entry].row.of);
    if (answer == answers_.end()) return std::nullopt;
    ExperimentRow row = entries_[entry].row;
    row.figures = answer->second.figures;
    row.problem = answer->second.problem;
    return row;
  }

  /// Measures those that nothing is known of, and hands all on if there were any.
  Result<void> answer(std::span<const std::size_t> entries) {
    bool isNew = false;
    for (const std::size_t i : entries) {
      if (answers_.contains(entries_[i].row.of)) continue;
      KVISTA_ASSIGN(ExperimentRow row, measuredRow(i));
      own_.push_back(row);
      answers_.emplace(row.of, std::move(row));
      isNew = true;
    }
    if (!isNew) return {};
    std::vector<ExperimentRow> fresh;
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (auto row = isTold_[i] ? std::nullopt : rowOf(i)) {
        isTold_[i] = true;
        fresh.push_back(*std::move(row));
      }
    return keep_(rows(), fresh);
  }

  /// What fails is said in the row. Error: cancelled.
  Result<ExperimentRow> measuredRow(std::size_t entry) {
    const Entry& wanted = entries_[entry];
    ExperimentRow row = wanted.row;
    const ExperimentRow* original = isOriginal(entry) ? nullptr : &answers_.at(entries_[wanted.original].row.of);
    if (original && !original->figures) {
      row.problem = "The model as it is cannot be measured: " + original->problem;
      return row;
    }
    const Task labelled{task_.stop, [&](const ProgressReport& report) {
                          const std::string stage =
                              wanted.label.empty() ? report.stage : fmt::format("{}: {}", wanted.label, report.stage);
                          task_.progress(stage, report.done, report.total, report.unit);
                        }};
    auto figures = figuresOf(wanted, labelled);
    if (!figures && figures.error().code == ErrorCode::cancelled) return tl::unexpected(std::move(figures).error());
    if (figures) {
      row.figures = *std::move(figures);
      row.figures->originalLoss = original ? original->figures->loss : row.figures->loss;
      if (original)
        row.figures->riseError = standardErrorOfDifference(original->figures->windowLosses, row.figures->windowLosses);
    } else {
      row.problem = figures.error().message;
    }
    return row;
  }

  Result<ExperimentRow::Figures> figuresOf(const Entry& entry, const Task& task) {
    const MadePlan* plan = nullptr;
    if (entry.trial.plan) {
      KVISTA_ASSIGN(plan, planOf(entry.trial, task));
    }
    return guardTorch("Measuring",
                      [&] { return measured(entry.trial, plan, subject_, subject_.texts[entry.text], task); });
  }

  /// The last one is kept: a plan with a target of its own is that of all values.
  Result<const MadePlan*> planOf(const Trial& trial, const Task& task) {
    if (!last_ || last_->wish != trial.plan || last_->refine != trial.refine)
      last_ = {*trial.plan, trial.refine, guardTorch("Planning", [&] { return makePlanOf(trial, subject_, task); })};
    if (!last_->made) return tl::unexpected(last_->made.error());
    return &*last_->made;
  }

  const ExperimentSubject& subject_;
  const KeepRows& keep_;
  const Task& task_;
  std::vector<Entry> entries_;
  std::vector<bool> isTold_;
  std::map<std::string, ExperimentRow> answers_;  ///< By what they are of.
  std::vector<ExperimentRow> own_;
  struct LastPlan {
    PlanWish wish;
    std::optional<RefineRequest> refine;
    Result<MadePlan> made;
  };
  std::optional<LastPlan> last_;
};

}  // namespace

TextSelection unseenText(const Statistics& statistics) {
  const TextRecipe& recipe = statistics.recipe;
  TextSelection selection{recipe.paths,        recipe.window, 0, recipe.skipWindows + statistics.windows, recipe.seed,
                          recipe.beginWithBos, recipe.weights};
  if (statistics.heldOutIds.defined()) selection.skipWindows += statistics.heldOutIds.size(0);
  return selection;
}

Result<std::vector<ExperimentRow>> runExperiment(const Experiment& experiment, const ExperimentSubject& subject,
                                                 const std::vector<ExperimentRow>& known, const KeepRows& keep,
                                                 const Task& task, const ProcessGroup& processes) {
  Run run(experiment, subject, known, keep, task);
  const std::vector<std::vector<std::size_t>> batches = run.batches();
  Turns turns(processes, "experiment");
  for (;;) {
    KVISTA_CHECK(task.checkStop());
    KVISTA_ASSIGN(const std::size_t next, turns.next());
    if (next >= batches.size()) break;
    KVISTA_CHECK(run.measure(batches[next]));
  }
  KVISTA_ASSIGN(const std::vector<std::string> measured, processes.gatherTexts(listOf(run.own()).dump(), task));
  for (const std::string& ofMember : measured)
    for (const nlohmann::json& json : nlohmann::json::parse(ofMember)) {
      KVISTA_ASSIGN(const ExperimentRow row, read<ExperimentRow>(json));
      run.take(row);
    }
  return run.rows();
}

}  // namespace kvista
