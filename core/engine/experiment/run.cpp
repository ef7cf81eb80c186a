// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>

#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include "core/compress/method.h"
#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/engine/analysis.h"
#include "core/engine/experiment/experiment.h"
#include "core/evaluate/measure_policy.h"
#include "core/evaluate/perplexity.h"
#include "core/model/torch_guard.h"

namespace kvista {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// One system at one value: what is to be measured, whatever the text.
struct Trial {
  std::optional<PlanWish> plan;
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

Trial trialAt(const ExperimentSweep& sweep, const ExperimentSystem& system, double value, std::int64_t window) {
  Trial trial{system.plan, system.policy};
  if (trial.plan && !system.hasOwnTarget)
    trial.plan->target = {sweep.unit, sweep.isRead() && sweep.unit == Target::Kind::share ? shareBehindExact(*trial.plan, value, window) : value};
  if (sweep.isRead() && !trial.policy) trial.policy = keepingAll(sweep);
  else if (trial.policy) trial.policy = PolicyRequest{trial.policy->policy, trial.policy->options, value, sweep.prompt, sweep.interval};
  return trial;
}

nlohmann::json toJson(const PolicyRequest& request) {
  return {{"policy", request.policy}, {"options", request.options}, {"share", request.share}, {"prompt", request.prompt}, {"interval", request.interval}};
}

/// What a plan came to before it was measured on any text.
struct MadePlan {
  PlannedPlan planned;
  std::unique_ptr<PlanTransform> transform;
  double seconds = 0;
};

Result<MadePlan> makePlanOf(const PlanWish& wish, const ExperimentSubject& subject, const Task& task) {
  const auto start = Clock::now();
  PlanRequest request = requestOf(wish);
  request.keepBases = true;
  KVISTA_ASSIGN(PlanWithSpectra made, makePlan(subject.decoder, &subject.statistics, request, task));
  KVISTA_ASSIGN(const PlanFactors factors, makeFactors(subject.decoder, &subject.statistics, made, task));
  MadePlan plan{std::move(made.planned), nullptr, 0};
  plan.transform = std::make_unique<PlanTransform>(plan.planned.plan, factors, subject.decoder.shape(), subject.decoder.options().device);
  plan.seconds = secondsSince(start);
  return plan;
}

/// `plan`: null where the trial has none.
Result<ExperimentRow::Figures> measured(const Trial& trial, const MadePlan* plan, const ExperimentSubject& subject, const ExperimentText& text, const Task& task) {
  const Decoder& decoder = subject.decoder;
  const CacheTransform* transform = plan ? plan->transform.get() : nullptr;
  const CompressionPlan* stored = plan ? &plan->planned.plan : nullptr;
  ExperimentRow::Figures figures;
  if (trial.policy) {
    KVISTA_ASSIGN(const PolicyMeasurement result, measurePolicy(decoder, text.windows.ids, transform, stored, *trial.policy, task));
    figures.loss = result.behindPrompt.meanLoss;
    figures.predictions = result.behindPrompt.predictions;
    figures.share = result.shareAtEnd();
    figures.bytesPerToken = std::llround(result.bytesAtEnd / static_cast<double>(text.windows.ids.size(1)));
    figures.seconds = result.all.seconds;
  } else {
    KVISTA_ASSIGN(const Perplexity result, measurePerplexity(decoder, text.windows.ids, transform, "evaluate", task));
    figures.loss = result.meanLoss;
    figures.predictions = result.predictions;
    figures.share = stored ? share(*stored, decoder.shape()) : 1;
    figures.bytesPerToken = stored ? bytesPerToken(*stored) : decoder.shape().cacheBytesPerToken();
    figures.seconds = result.seconds;
  }
  if (!plan) return figures;
  if (!trial.policy) figures.predictedRise = plan->planned.loss();
  figures.seconds += plan->seconds;
  figures.note = plan->planned.note;
  return figures;
}

ExperimentRow rowOf(const ExperimentSubject& subject, const ExperimentText& text, const Trial& trial) {
  ExperimentRow row;
  row.text = text.name;
  row.target = {Target::Kind::share, 1};
  nlohmann::json of = {{"model", subject.modelHash}, {"text", text.windows.hash}, {"version", subject.version}, {"dtype", c10::toString(subject.decoder.options().dtype)}};
  if (trial.plan) of["plan"] = toJson(*trial.plan);
  if (trial.plan) of["calibration"] = subject.statistics.tokensHash;
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
    originalLosses_.clear();
    bool isNew = false;
    for (const ExperimentText& text : subject_.texts) {
      ExperimentRow row = rowOf(subject_, text, trial);
      const auto done = std::ranges::find(rows_, row.of, &ExperimentRow::of);
      const ExperimentRow* old = done == rows_.end() ? answerOf(row) : &*done;
      if (old) {
        row.figures = old->figures;
      } else {
        isNew = true;
        KVISTA_ASSIGN(row.figures, measured(trial, nullptr, subject_, text, task_));
        row.figures->originalLoss = row.figures->loss;
      }
      originalLosses_.push_back(row.figures->loss);
      if (done == rows_.end()) rows_.push_back(std::move(row));
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
        KVISTA_ASSIGN(plan, planOf(*trial.plan, labelled));
      }
      return guardTorch("Measuring", [&] { return measured(trial, plan, subject_, text, labelled); });
    };
    bool isNew = false;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ExperimentRow& row = rows[i];
      if (const ExperimentRow* old = answerOf(row)) {
        row.figures = old->figures;
      } else {
        isNew = true;
        Result<ExperimentRow::Figures> figures = figuresOn(subject_.texts[i]);
        if (!figures && figures.error().code == ErrorCode::cancelled) return tl::unexpected(std::move(figures).error());
        if (figures) row.figures = *std::move(figures);
        else row.problem = figures.error().message;
        if (row.figures) row.figures->originalLoss = originalLosses_[i];
      }
      rows_.push_back(std::move(row));
    }
    return isNew ? keep_(rows_) : Result<void>{};
  }

  std::vector<ExperimentRow> takeRows() { return std::move(rows_); }

 private:
  /// The last one is kept: a plan with a target of its own is that of all values.
  Result<const MadePlan*> planOf(const PlanWish& wish, const Task& task) {
    if (!last_ || last_->wish != wish) last_ = {wish, guardTorch("Planning", [&] { return makePlanOf(wish, subject_, task); })};
    if (!last_->made) return tl::unexpected(last_->made.error());
    return &*last_->made;
  }
  [[nodiscard]] const ExperimentRow* answerOf(const ExperimentRow& row) const {
    const auto found = std::ranges::find_if(known_, [&](const ExperimentRow& old) { return old.figures && old.of == row.of; });
    return found == known_.end() ? nullptr : &*found;
  }

  const ExperimentSubject& subject_;
  const std::vector<ExperimentRow>& known_;
  const std::function<Result<void>(const std::vector<ExperimentRow>&)>& keep_;
  const Task& task_;
  struct LastPlan {
    PlanWish wish;
    Result<MadePlan> made;
  };
  std::optional<LastPlan> last_;
  std::vector<double> originalLosses_;  // one a text, of the sweep under way
  std::vector<ExperimentRow> rows_;
};

}  // namespace

std::vector<ExperimentRow> rowsToMeasure(const Experiment& experiment, const ExperimentSubject& subject) {
  std::vector<ExperimentRow> rows;
  for (const ExperimentSweep& sweep : experiment.sweeps)
    for (const ExperimentSystem& system : sweep.systems)
      for (const double value : sweep.values)
        for (const ExperimentText& text : subject.texts) {
          ExperimentRow row = rowOf(subject, text, trialAt(sweep, system, value, subject.window()));
          row.sweep = sweep.name;
          row.system = system.name;
          row.target = {sweep.unit, value};
          rows.push_back(std::move(row));
        }
  return rows;
}

Result<std::vector<ExperimentRow>> runExperiment(const Experiment& experiment, const ExperimentSubject& subject,
                                                 const std::vector<ExperimentRow>& known,
                                                 const std::function<Result<void>(const std::vector<ExperimentRow>&)>& keep, const Task& task) {
  Run run(subject, known, keep, task);
  const std::vector<ExperimentRow> rows = rowsToMeasure(experiment, subject);
  const auto texts = static_cast<std::ptrdiff_t>(subject.texts.size());
  auto next = rows.begin();
  for (const ExperimentSweep& sweep : experiment.sweeps) {
    KVISTA_CHECK(run.measureOriginal(sweep));
    for (const ExperimentSystem& system : sweep.systems)
      for (const double value : sweep.values) {
        const std::string label = fmt::format("{} of {}, {} at {:.4g}", (next - rows.begin()) / texts + 1, rows.size() / subject.texts.size(), system.name, value);
        KVISTA_CHECK(run.measureTrial(trialAt(sweep, system, value, subject.window()), {next, next + texts}, label));
        next += texts;
      }
  }
  return run.takeRows();
}

}  // namespace kvista
