// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/refine_presenter.h"

#include <QFileInfo>
#include <algorithm>

#include "views/number_text.h"
#include "views/refine_view.h"
#include "views/words.h"

namespace kvista {

RefinePresenter::RefinePresenter(Document& document, Workflow& workflow, JobList& jobs, RefineView& view)
    : document_(document), workflow_(workflow), jobs_(jobs), view_(view) {
  connect(&workflow_, &Workflow::refiningBegan, this, [this] {
    points_.clear();
    result_.reset();
    show();
  });
  connect(&workflow_, &Workflow::refinedPoints, this, [this](const std::vector<LossPoint>& points) {
    points_.insert(points_.end(), points.begin(), points.end());
    show();
  });
  connect(&workflow_, &Workflow::refined, this, [this](const RefineRecord& record) {
    points_ = record.curve;
    result_ = record;
    show();
  });
  connect(&jobs_, &JobList::changed, this, &RefinePresenter::show);
  for (const auto signal :
       {&Document::modelChanged, &Document::statisticsChanged, &Document::planChanged, &Document::resultsChanged})
    connect(&document_, signal, this, &RefinePresenter::show);
  connect(&document_, &Document::projectChanged, this, [this] {
    const auto& refined = document_.refined();
    // Another project, and not only another name of this one.
    if (result_ && (!refined || refined->file != result_->factors)) {
      points_.clear();
      result_.reset();
    }
    show();
  });
  connect(&view_, &RefineView::stopRequested, &workflow_, [this] { workflow_.work().cancel(workflow_.refining()); });
  show();
}

QString RefinePresenter::unavailable() const {
  if (!document_.hasModel()) return tr("Open a model first.");
  if (!document_.statistics()) return tr("Calibrate the model first: a plan is made from its statistics.");
  if (document_.plan().storage == Storage::plainQuantised)
    return tr("Plain quantisation has no factors that could be refined.");
  return {};
}

QString RefinePresenter::status(const Job* job) const {
  if (job && job->state == Job::State::running) {
    const ProgressRecord& progress = job->progress;
    QString text =
        points_.empty() ? QString::fromStdString(progress.stage) : tr("Step %1").arg(countText(points_.back().step));
    if (progress.unit == "steps" && progress.total > 0 && !points_.empty())
      text = tr("Step %1 of %2").arg(countText(points_.back().step), countText(progress.total));
    if (progress.etaSeconds) text += tr(" · %1 left").arg(durationText(*progress.etaSeconds));
    return text;
  }
  if (result_) {
    const QString steps = tr("%Ln step(s) in %1", nullptr, result_->steps).arg(durationText(result_->seconds));
    if (result_->bestStep == 0) return tr("%1: nothing was better than the plan's own factors").arg(steps);
    return tr("%1: %2 · divergence %3 → %4 nats a token")
        .arg(steps, QString::fromStdString(result_->ended), significantText(result_->divergenceBefore, 3),
             significantText(result_->divergenceAfter, 3));
  }
  if (job && job->state == Job::State::cancelled)
    return tr("Cancelled before anything was better than the plan's own factors.");
  if (job && job->state == Job::State::failed) return QString::fromStdString(job->error.message);
  if (const auto& refined = document_.refined())
    return document_.refinedFactors().empty()
               ? tr("There are refined factors of an earlier plan; this one is computed as planned.")
               : tr("Refined at step %1: divergence %2 → %3 nats a token")
                     .arg(countText(refined->steps), significantText(refined->divergenceBefore, 3),
                          significantText(refined->divergenceAfter, 3));
  return {};
}

void RefinePresenter::show() {
  const auto found = std::ranges::find(jobs_.jobs(), workflow_.refining(), &Job::id);
  const Job* job = found == jobs_.jobs().end() || workflow_.refining() == 0 ? nullptr : &*found;
  RefineCurve record;
  record.running = job && job->state == Job::State::running;
  record.status = status(job);
  record.unavailable = unavailable();
  for (const LossPoint& point : points_) record.steps.push_back({point.step, point.training, point.heldOut});
  if (result_ && result_->bestStep > 0) {
    // The held-out windows are looked at before a step, so that what they say of a step stands at the next.
    record.best = result_->bestStep;
    for (const LossPoint& point : points_)
      if (point.heldOut && point.step == result_->bestStep + 1) record.best = point.step;
  }
  if (result_)
    for (const auto& [name, measured] :
         {std::pair{tr("text refined on"), result_->seen}, std::pair{tr("other text"), result_->unseen}})
      if (measured)
        record.perplexities.push_back(
            {name, QString::fromStdString(measured->text), measured->original, measured->planned, measured->refined});
  view_.setRecord(std::move(record));
}

}  // namespace kvista
