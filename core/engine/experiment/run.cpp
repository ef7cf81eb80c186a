// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>

#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/engine/analysis.h"
#include "core/engine/experiment/experiment.h"
#include "core/evaluate/perplexity.h"
#include "core/model/torch_guard.h"

namespace kvista {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

PlanWish wishAt(const ExperimentSweep& sweep, const ExperimentSystem& system, double value) {
  PlanWish wish = system.plan;
  if (!system.hasOwnTarget) wish.target = {sweep.unit, value};
  return wish;
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

Result<ExperimentRow::Figures> measured(const MadePlan& plan, const ExperimentSubject& subject, const ExperimentText& text, double originalLoss, const Task& task) {
  KVISTA_ASSIGN(const Perplexity result, measurePerplexity(subject.decoder, text.windows.ids, plan.transform.get(), "evaluate", task));
  ExperimentRow::Figures figures;
  figures.bytesPerToken = bytesPerToken(plan.planned.plan);
  figures.share = share(plan.planned.plan, subject.decoder.shape());
  figures.loss = result.meanLoss;
  figures.originalLoss = originalLoss;
  figures.predictedRise = plan.planned.loss();
  figures.predictions = result.predictions;
  figures.seconds = plan.seconds + result.seconds;
  figures.note = plan.planned.note;
  return figures;
}

/// What the model's own figures on a text depend on.
nlohmann::json dependenciesOf(const ExperimentSubject& subject, const ExperimentText& text) {
  return {{"model", subject.modelHash}, {"text", text.windows.hash}, {"version", subject.version}, {"dtype", c10::toString(subject.decoder.options().dtype)}};
}

/// The model as it is on one text, as a row without sweep and system.
ExperimentRow originalRow(const ExperimentSubject& subject, const ExperimentText& text) {
  ExperimentRow row;
  row.text = text.name;
  row.target = {Target::Kind::share, 1};
  row.of = dependenciesOf(subject, text).dump();
  return row;
}

/// Measures rows one after the other and remembers what was known.
class Run {
 public:
  Run(const ExperimentSubject& subject, const std::vector<ExperimentRow>& known,
      const std::function<Result<void>(const std::vector<ExperimentRow>&)>& keep, const Task& task)
      : subject_(subject), known_(known), keep_(keep), task_(task) {}

  Result<void> measureOriginal() {
    for (const ExperimentText& text : subject_.texts) {
      ExperimentRow row = originalRow(subject_, text);
      if (const ExperimentRow* old = answerOf(row)) {
        row.figures = old->figures;
      } else {
        KVISTA_ASSIGN(const Perplexity result, measurePerplexity(subject_.decoder, text.windows.ids, nullptr, "evaluate the original", task_));
        const std::int64_t bytes = subject_.decoder.shape().cacheBytesPerToken();
        row.figures = ExperimentRow::Figures{bytes, 1, result.meanLoss, result.meanLoss, 0.0, result.predictions, result.seconds, ""};
      }
      originalLosses_.push_back(row.figures->loss);
      rows_.push_back(std::move(row));
    }
    return keep_(rows_);
  }

  /// The rows of one plan, one a text, from `first` on.
  Result<void> measurePlan(const PlanWish& wish, std::vector<ExperimentRow> rows, const std::string& label) {
    std::optional<Result<MadePlan>> plan;
    const Task labelled{task_.stop, [&](const ProgressReport& report) {
                          task_.progress(fmt::format("{}: {}", label, report.stage), report.done, report.total, report.unit);
                        }};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ExperimentRow& row = rows[i];
      if (const ExperimentRow* old = answerOf(row)) {
        row.figures = old->figures;
      } else {
        if (!plan) plan = guardTorch("Planning", [&] { return makePlanOf(wish, subject_, labelled); });
        Result<ExperimentRow::Figures> figures =
            *plan ? measured(**plan, subject_, subject_.texts[i], originalLosses_[i], labelled) : tl::unexpected(plan->error());
        if (!figures && figures.error().code == ErrorCode::cancelled) return tl::unexpected(std::move(figures).error());
        if (figures) row.figures = *std::move(figures);
        else row.problem = figures.error().message;
      }
      rows_.push_back(std::move(row));
    }
    return plan ? keep_(rows_) : Result<void>{};
  }

  std::vector<ExperimentRow> takeRows() { return std::move(rows_); }

 private:
  [[nodiscard]] const ExperimentRow* answerOf(const ExperimentRow& row) const {
    const auto found = std::ranges::find_if(known_, [&](const ExperimentRow& old) { return old.figures && old.of == row.of; });
    return found == known_.end() ? nullptr : &*found;
  }

  const ExperimentSubject& subject_;
  const std::vector<ExperimentRow>& known_;
  const std::function<Result<void>(const std::vector<ExperimentRow>&)>& keep_;
  const Task& task_;
  std::vector<double> originalLosses_;  // one a text
  std::vector<ExperimentRow> rows_;
};

}  // namespace

std::vector<ExperimentRow> rowsToMeasure(const Experiment& experiment, const ExperimentSubject& subject) {
  std::vector<ExperimentRow> rows;
  for (const ExperimentSweep& sweep : experiment.sweeps)
    for (const ExperimentSystem& system : sweep.systems)
      for (const double value : sweep.values)
        for (const ExperimentText& text : subject.texts) {
          ExperimentRow row = originalRow(subject, text);
          row.sweep = sweep.name;
          row.system = system.name;
          row.target = {sweep.unit, value};
          nlohmann::json of = dependenciesOf(subject, text);
          of["calibration"] = subject.statistics.tokensHash;
          of["plan"] = toJson(wishAt(sweep, system, value));
          row.of = of.dump();
          rows.push_back(std::move(row));
        }
  return rows;
}

Result<std::vector<ExperimentRow>> runExperiment(const Experiment& experiment, const ExperimentSubject& subject,
                                                 const std::vector<ExperimentRow>& known,
                                                 const std::function<Result<void>(const std::vector<ExperimentRow>&)>& keep, const Task& task) {
  Run run(subject, known, keep, task);
  KVISTA_CHECK(run.measureOriginal());
  const std::vector<ExperimentRow> rows = rowsToMeasure(experiment, subject);
  const auto texts = static_cast<std::ptrdiff_t>(subject.texts.size());
  auto next = rows.begin();
  for (const ExperimentSweep& sweep : experiment.sweeps)
    for (const ExperimentSystem& system : sweep.systems)
      for (const double value : sweep.values) {
        const std::string label = fmt::format("{} of {}, {} at {:.4g}", (next - rows.begin()) / texts + 1, rows.size() / subject.texts.size(), system.name, value);
        KVISTA_CHECK(run.measurePlan(wishAt(sweep, system, value), {next, next + texts}, label));
        next += texts;
      }
  return run.takeRows();
}

}  // namespace kvista
