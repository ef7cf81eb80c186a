// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>
#include <ranges>

#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include "core/base/amount.h"
#include "core/compress/method.h"
#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/engine/analysis.h"
#include "core/engine/experiment/trained.h"
#include "core/evaluate/measure_policy.h"
#include "core/evaluate/perplexity.h"
#include "core/io/file_hash.h"
#include "core/model/torch_guard.h"
#include "core/policy/named_policies.h"

namespace kvista {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// One system at one value: what is to be measured, whatever the text.
struct Trial {
  std::optional<PlanWish> plan;
  std::optional<RefineRequest> refine;
  std::optional<PolicyRequest> policy;  ///< Where the sweep is read token after token: also one that leaves everything as it is.
};

/// Leaves every token where it is.
PolicyRequest keepingAll(const ExperimentSweep& sweep) { return {"streaming-llm", {}, 1, sweep.prompt, sweep.interval}; }

/// The share of a plan whose first tokens stay exact that makes `share` of a window's bytes, all of them counted as policies' are.
double shareBehindExact(const PlanWish& wish, double share, std::int64_t window) {
  const auto method = findMethod(wish.method);
  const double exact = method ? static_cast<double>((*method)->exactTokens) / static_cast<double>(window) : 0;
  return share > exact ? (share - exact) / (1 - exact) : share;
}

/// `index`: of the sweep's values.
Trial trialAt(const ExperimentSweep& sweep, const ExperimentSystem& system, std::size_t index, std::int64_t window) {
  Trial trial{system.plan, system.refine, system.policy};
  const double value = sweep.values[index];
  if (!system.planShares.empty())
    trial.plan->target = {Target::Kind::share, system.planShares[index]};
  else if (trial.plan && !system.hasOwnTarget)
    trial.plan->target = {sweep.unit,
                          sweep.isRead() && sweep.unit == Target::Kind::share ? shareBehindExact(*trial.plan, value, window) : value};
  if (sweep.isRead() && !trial.policy) trial.policy = keepingAll(sweep);
  else if (trial.policy) trial.policy = PolicyRequest{trial.policy->policy, trial.policy->options, value, sweep.prompt, sweep.interval};
  return trial;
}

/// Whether a policy foretells by what is trained on the calibration's text.
bool isTrained(const Trial& trial) {
  return trial.policy && std::ranges::any_of(trial.policy->options, [](const auto& option) { return option.second == kTrained; });
}

/// The policy with its file, which is made if it is not there yet, and the model that it is for.
Result<PolicyRequest> withFile(PolicyRequest request, const ExperimentSubject& subject, const Task& task) {
  request.model = subject.modelHash;
  for (auto& [name, value] : request.options)
    if (value == kTrained) {
      KVISTA_ASSIGN(const std::filesystem::path file, trainedFile(*predictorOf(request.policy), subject, task));
      value = file.string();
    }
  return request;
}

/// What an experiment trained can be made again where its file is damaged.
Error trainedAnew(Error error) {
  if (error.code == ErrorCode::corruptFile) error.message += " Remove that file, and it is trained anew.";
  return error;
}

/// Files by what they hold: a path says nothing of that. What cannot be read stays as it is, and fails when it is measured.
std::map<std::string, std::string> optionsByContent(const PolicyRequest& request) {
  std::map<std::string, std::string> options = request.options;
  const auto named = policiesNamed(request.policy);
  if (!named) return options;
  for (const Policy* policy : {named->chooser, named->holder})
    for (const PolicyOption& option : policy != nullptr ? policy->options : std::vector<PolicyOption>{}) {
      if (!option.isFile) continue;
      for (const std::string& name : {std::string(option.name), fmt::format("{}.{}", policy->name, option.name)}) {
        const auto asked = options.find(name);
        if (asked == options.end() || asked->second == kTrained) continue;
        if (const auto hash = fileHash(asked->second)) asked->second = *hash;
      }
    }
  return options;
}

nlohmann::json toJson(const RefineRequest& request) {
  return {{"steps", request.steps},
          {"windowsPerStep", request.windowsPerStep},
          {"rate", request.rate},
          {"seed", request.seed},
          {"nested", request.nested}};
}

nlohmann::json toJson(const PolicyRequest& request) {
  return {{"policy", request.policy},
          {"options", optionsByContent(request)},
          {"share", request.share},
          {"prompt", request.prompt},
          {"interval", request.interval}};
}

/// What a plan came to before it was measured on any text.
struct MadePlan {
  PlannedPlan planned;
  std::unique_ptr<PlanTransform> transform;
  double seconds = 0;
};

Result<MadePlan> makePlanOf(const Trial& trial, const ExperimentSubject& subject, const Task& task) {
  const auto start = Clock::now();
  PlanRequest request = requestOf(*trial.plan);
  request.keepBases = true;
  KVISTA_ASSIGN(PlanWithSpectra made, makePlan(subject.decoder, &subject.statistics, request, task));
  KVISTA_ASSIGN(PlanFactors factors, makeFactors(subject.decoder, &subject.statistics, made, task));
  if (trial.refine) {
    KVISTA_ASSIGN(factors, refinedFactors(made.planned.plan, std::move(factors), *trial.refine, subject, task).map_error(trainedAnew));
  }
  MadePlan plan{std::move(made.planned), nullptr, 0};
  plan.transform = std::make_unique<PlanTransform>(plan.planned.plan, factors, subject.decoder.shape(), subject.decoder.options().device);
  plan.seconds = secondsSince(start);
  return plan;
}

/// Why a policy's share at a window's end is not the one asked for; empty where it is.
std::string noteOf(const PolicyRequest& request, const PolicyMeasurement& result, std::int64_t window) {
  if (request.interval > 0 || request.share >= 1 || result.shareAtEnd() <= request.share) return {};
  return fmt::format(
      "The policy acts once, behind the prompt of {}, and keeps to the share there; the {} that follow stay. With an interval "
      "it keeps to it at the window's end.",
      amount(result.prompt, "token"), window - result.prompt);
}

/// `plan`: null where the trial has none.
Result<ExperimentRow::Figures> measured(const Trial& trial, const MadePlan* plan, const ExperimentSubject& subject,
                                        const ExperimentText& text, const Task& task) {
  const Decoder& decoder = subject.decoder;
  const PlanTransform* transform = plan ? plan->transform.get() : nullptr;
  const CompressionPlan* stored = plan ? &plan->planned.plan : nullptr;
  ExperimentRow::Figures figures;
  if (trial.policy) {
    KVISTA_ASSIGN(const PolicyRequest request, withFile(*trial.policy, subject, task));
    const auto measurement = measurePolicy(decoder, text.windows.ids, transform, request, task);
    KVISTA_ASSIGN(const PolicyMeasurement result, isTrained(trial) ? measurement.map_error(trainedAnew) : measurement);
    figures.loss = result.behindPrompt.meanLoss;
    figures.predictions = result.behindPrompt.predictions;
    figures.share = result.shareAtEnd();
    figures.bytesPerToken = std::llround(result.bytesAtEnd / static_cast<double>(text.windows.ids.size(1)));
    figures.seconds = result.all.seconds;
    figures.note = noteOf(request, result, text.windows.ids.size(1));
  } else {
    KVISTA_ASSIGN(const Perplexity result, measurePerplexity(decoder, text.windows.ids, transform, "evaluate", task));
    figures.loss = result.meanLoss;
    figures.predictions = result.predictions;
    figures.share = stored ? share(*stored, decoder.shape()) : 1;
    figures.bytesPerToken = stored ? bytesPerToken(*stored) : decoder.shape().cacheBytesPerToken();
    figures.seconds = result.seconds;
  }
  if (!plan) return figures;
  if (!trial.policy && !trial.refine) figures.predictedRise = plan->planned.loss();
  figures.seconds += plan->seconds;
  if (!plan->planned.note.empty()) figures.note += (figures.note.empty() ? "" : " ") + plan->planned.note;
  return figures;
}

ExperimentRow rowOf(const ExperimentSubject& subject, const ExperimentText& text, const Trial& trial) {
  ExperimentRow row;
  row.text = text.name;
  row.target = {Target::Kind::share, 1};
  nlohmann::json of = {{"model", subject.modelHash},
                       {"text", text.windows.hash},
                       {"version", subject.version},
                       {"dtype", c10::toString(subject.decoder.options().dtype)}};
  if (trial.plan) of["plan"] = toJson(*trial.plan);
  if (trial.refine) of["refine"] = toJson(*trial.refine);
  if (trial.plan || isTrained(trial)) of["calibration"] = subject.statistics.tokensHash;
  if (trial.policy) of["policy"] = toJson(*trial.policy);
  row.of = of.dump();
  return row;
}

/// Measures rows one after the other and remembers what was known.
class Run {
 public:
  Run(const ExperimentSubject& subject, const std::vector<ExperimentRow>& known,
      const std::function<Result<void>(const std::vector<ExperimentRow>&)>& keep, const Task& task)
      : subject_(subject), known_(known), keep_(keep), task_(task) {}

  /// The model as it is on the predictions of a sweep, a row a text.
  Result<void> measureOriginal(const ExperimentSweep& sweep) {
    Trial trial;
    if (sweep.isRead()) trial.policy = keepingAll(sweep);
    originals_.clear();
    bool isNew = false;
    for (const ExperimentText& text : subject_.texts) {
      ExperimentRow row = rowOf(subject_, text, trial);
      const bool isThere = std::ranges::find(rows_, row.of, &ExperimentRow::of) != rows_.end();
      if (!answer(row)) {
        isNew = true;
        KVISTA_CHECK(fill(row, guardTorch("Measuring", [&] { return measured(trial, nullptr, subject_, text, task_); })));
        if (row.figures) row.figures->originalLoss = row.figures->loss;
      }
      originals_.push_back(row);
      if (!isThere) rows_.push_back(std::move(row));
    }
    return isNew ? keep_(rows_) : Result<void>{};
  }

  /// The rows of one system at one value, one a text.
  Result<void> measureTrial(const Trial& trial, std::vector<ExperimentRow> rows, const std::string& label) {
    const Task labelled{task_.stop, [&](const ProgressReport& report) {
                          task_.progress(fmt::format("{}: {}", label, report.stage), report.done, report.total, report.unit);
                        }};
    const auto figuresOn = [&](const ExperimentText& text) -> Result<ExperimentRow::Figures> {
      const MadePlan* plan = nullptr;
      if (trial.plan) {
        KVISTA_ASSIGN(plan, planOf(trial, labelled));
      }
      return guardTorch("Measuring", [&] { return measured(trial, plan, subject_, text, labelled); });
    };
    bool isNew = false;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ExperimentRow& row = rows[i];
      if (!answer(row)) {
        isNew = true;
        if (originals_[i].figures) KVISTA_CHECK(fill(row, figuresOn(subject_.texts[i])));
        else row.problem = "The model as it is cannot be measured: " + originals_[i].problem;
        if (row.figures) row.figures->originalLoss = originals_[i].figures->loss;
      }
      rows_.push_back(std::move(row));
    }
    return isNew ? keep_(rows_) : Result<void>{};
  }

  std::vector<ExperimentRow> takeRows() { return std::move(rows_); }

 private:
  /// The last one is kept: a plan with a target of its own is that of all values.
  Result<const MadePlan*> planOf(const Trial& trial, const Task& task) {
    if (!last_ || last_->wish != trial.plan || last_->refine != trial.refine)
      last_ = {*trial.plan, trial.refine, guardTorch("Planning", [&] { return makePlanOf(trial, subject_, task); })};
    if (!last_->made) return tl::unexpected(last_->made.error());
    return &*last_->made;
  }
  /// Whether this run has come to the same already, or an earlier one has measured it: then `row` has what came of it.
  [[nodiscard]] bool answer(ExperimentRow& row) const {
    const auto take = [&](const ExperimentRow& same) {
      row.figures = same.figures;
      row.problem = same.problem;
      return true;
    };
    if (const auto same = std::ranges::find(rows_, row.of, &ExperimentRow::of); same != rows_.end()) return take(*same);
    const auto same = std::ranges::find_if(known_, [&](const ExperimentRow& old) { return old.figures && old.of == row.of; });
    return same != known_.end() && take(*same);
  }
  /// What fails is said in the row. Error: cancelled.
  static Result<void> fill(ExperimentRow& row, Result<ExperimentRow::Figures> figures) {
    if (!figures && figures.error().code == ErrorCode::cancelled) return tl::unexpected(std::move(figures).error());
    if (figures) row.figures = *std::move(figures);
    else row.problem = figures.error().message;
    return {};
  }

  const ExperimentSubject& subject_;
  const std::vector<ExperimentRow>& known_;
  const std::function<Result<void>(const std::vector<ExperimentRow>&)>& keep_;
  const Task& task_;
  struct LastPlan {
    PlanWish wish;
    std::optional<RefineRequest> refine;
    Result<MadePlan> made;
  };
  std::optional<LastPlan> last_;
  std::vector<ExperimentRow> originals_;  // one a text, of the sweep under way
  std::vector<ExperimentRow> rows_;
};

}  // namespace

TextSelection unseenText(const Statistics& statistics) {
  const TextRecipe& recipe = statistics.recipe;
  TextSelection selection{recipe.paths,        recipe.window, 0, recipe.skipWindows + statistics.windows, recipe.seed,
                          recipe.beginWithBos, recipe.weights};
  if (statistics.heldOutIds.defined()) selection.skipWindows += statistics.heldOutIds.size(0);
  return selection;
}

std::vector<ExperimentRow> rowsToMeasure(const Experiment& experiment, const ExperimentSubject& subject) {
  std::vector<ExperimentRow> rows;
  for (const ExperimentSweep& sweep : experiment.sweeps)
    for (const ExperimentSystem& system : sweep.systems)
      for (std::size_t index = 0; index < sweep.values.size(); ++index)
        for (const ExperimentText& text : subject.texts) {
          ExperimentRow row = rowOf(subject, text, trialAt(sweep, system, index, subject.window()));
          row.sweep = sweep.name;
          row.system = system.name;
          row.target = {sweep.unit, sweep.values[index]};
          rows.push_back(std::move(row));
        }
  return rows;
}

std::vector<ExperimentRow> withKnown(std::vector<ExperimentRow> rows, const std::vector<ExperimentRow>& asked,
                                     const std::vector<ExperimentRow>& known) {
  const auto answered = std::ranges::count_if(rows, [](const ExperimentRow& row) { return !row.sweep.empty(); });
  for (ExperimentRow row : asked | std::views::drop(answered)) {
    const auto same = std::ranges::find_if(known, [&](const ExperimentRow& old) { return old.figures && old.of == row.of; });
    if (same == known.end()) continue;
    row.figures = same->figures;
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<std::vector<ExperimentRow>> runExperiment(const Experiment& experiment, const ExperimentSubject& subject,
                                                 const std::vector<ExperimentRow>& known,
                                                 const std::function<Result<void>(const std::vector<ExperimentRow>&)>& keep,
                                                 const Task& task) {
  Run run(subject, known, keep, task);
  const std::vector<ExperimentRow> rows = rowsToMeasure(experiment, subject);
  const auto texts = static_cast<std::ptrdiff_t>(subject.texts.size());
  auto next = rows.begin();
  for (const ExperimentSweep& sweep : experiment.sweeps) {
    KVISTA_CHECK(run.measureOriginal(sweep));
    for (const ExperimentSystem& system : sweep.systems)
      for (std::size_t index = 0; index < sweep.values.size(); ++index) {
        const std::string label = fmt::format("{} of {}, {} at {:.4g}", (next - rows.begin()) / texts + 1,
                                              rows.size() / subject.texts.size(), system.name, sweep.values[index]);
        KVISTA_CHECK(run.measureTrial(trialAt(sweep, system, index, subject.window()), {next, next + texts}, label));
        next += texts;
      }
  }
  return run.takeRows();
}

}  // namespace kvista
