// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/work_presenter.h"

#include <QClipboard>
#include <QFileInfo>
#include <QGuiApplication>
#include <algorithm>
#include <cmath>

#include "views/guide_view.h"
#include "views/jobs_view.h"
#include "views/number_text.h"
#include "views/provenance_view.h"

namespace kvista {
namespace {

constexpr int kClockMilliseconds = 500;
/// Work that is over sooner than a person would look is not shown while it runs (S28).
constexpr qint64 kShownAfterMilliseconds = 300;

QString text(const std::string& string) { return QString::fromStdString(string); }

JobRecord recordOf(const Job& job) {
  JobRecord record;
  record.id = QString::number(job.id);
  record.name = job.name;
  switch (job.state) {
    case Job::State::running:
      record.state = JobRecord::State::running;
      break;
    case Job::State::succeeded:
      record.state = JobRecord::State::done;
      break;
    case Job::State::failed:
      record.state = JobRecord::State::failed;
      break;
    case Job::State::cancelled:
      record.state = JobRecord::State::cancelled;
      break;
  }
  if (job.progress.total > 0)
    record.share = static_cast<double>(job.progress.done) / static_cast<double>(job.progress.total);
  record.stage = job.state == Job::State::succeeded ? job.result : text(job.progress.stage);
  record.elapsedSeconds =
      static_cast<double>(job.started.msecsTo(job.ended.isValid() ? job.ended : QDateTime::currentDateTime())) / 1000;
  record.remainingSeconds = job.progress.etaSeconds;
  record.sentence = text(job.error.message);
  record.hint = text(job.error.hint);
  record.details = text(job.error.detail);
  return record;
}

}  // namespace

WorkPresenter::WorkPresenter(Document& document, Workflow& workflow, JobList& jobs, RecentFiles& recent,
                             GuideView& guide, JobsView& jobsView, ProblemsView& problems, ProvenanceView& provenance)
    : document_(document),
      workflow_(workflow),
      jobs_(jobs),
      recent_(recent),
      guide_(guide),
      jobsView_(jobsView),
      problemsView_(problems),
      provenance_(provenance) {
  connect(&jobs_, &JobList::changed, this, &WorkPresenter::showJobs);
  connect(&clock_, &QTimer::timeout, this, &WorkPresenter::showJobs);
  connect(&jobsView_, &JobsView::cancelRequested, this,
          [this](const QString& id) { workflow_.cancel(id.toLongLong()); });
  connect(&jobsView_, &JobsView::dismissed, this, [this](const QString& id) { jobs_.forget(id.toLongLong()); });
  connect(&jobsView_, &JobsView::copyRequested, this, &WorkPresenter::copyReport);
  for (const auto signal : {&Document::modelChanged, &Document::statisticsChanged, &Document::projectChanged})
    connect(&document_, signal, this, &WorkPresenter::showProvenance);
  connect(&recent_, &RecentFiles::changed, this, &WorkPresenter::showProgress);
  connect(&workflow_, &Workflow::exported, this, [this] {
    exported_ = true;
    showProgress();
  });
  connect(&workflow_, &Workflow::opened, this, [this] {
    exported_ = false;
    showProgress();
  });
  connect(&guide_, &GuideView::openRequested, this,
          [this] { Q_EMIT actionRequested(QStringLiteral("file.openFolder")); });
  connect(&guide_, &GuideView::demoRequested, this,
          [this] { Q_EMIT actionRequested(QStringLiteral("file.openDemo")); });
  connect(&guide_, &GuideView::recentChosen, this, &WorkPresenter::openRequested);
  connect(&guide_, &GuideView::locateRequested, this, &WorkPresenter::locateRequested);
  connect(&guide_, &GuideView::removeRequested, &recent_, &RecentFiles::remove);
  connect(&guide_, &GuideView::dropped, this, [this](const QStringList& paths) {
    if (!paths.isEmpty()) Q_EMIT openRequested(paths.front());
  });
  connect(&guide_, &GuideView::stepRequested, this, [this](GuideView::Step step) {
    switch (step) {
      case GuideView::open:
        return Q_EMIT actionRequested(QStringLiteral("file.openFolder"));
      case GuideView::calibrate:
        return Q_EMIT actionRequested(QStringLiteral("plan.calibrate"));
      case GuideView::plan:
        return Q_EMIT actionRequested(QStringLiteral("plan.target"));
      case GuideView::exportModel:
        return Q_EMIT actionRequested(QStringLiteral("plan.export"));
    }
  });
  showJobs();
  showProgress();
  showProvenance();
}

void WorkPresenter::showJobs() {
  std::vector<JobRecord> records;
  const QDateTime now = QDateTime::currentDateTime();
  for (const Job& job : jobs_.jobs())
    if (job.state != Job::State::running || job.started.msecsTo(now) >= kShownAfterMilliseconds)
      records.push_back(recordOf(job));
  std::ranges::reverse(records);  // The list shows the newest last.
  jobsView_.setRecord(records);
  if (jobs_.isBusy() && !clock_.isActive()) clock_.start(kClockMilliseconds);
  if (!jobs_.isBusy()) clock_.stop();
}

void WorkPresenter::copyReport(const QString& id) {
  for (const Job& job : jobs_.jobs())
    if (QString::number(job.id) == id)
      QGuiApplication::clipboard()->setText(QStringLiteral("%1\n%2: %3\n%4\n%5\nKVista, %6")
                                                .arg(job.name, QString::fromLatin1(nameOf(job.error.code).data()),
                                                     text(job.error.message), text(job.error.hint),
                                                     text(job.error.detail), job.ended.toString(Qt::ISODate)));
}

void WorkPresenter::addProblem(const QString& about, const Error& error) {
  ProblemRecord record{.id = about,
                       .severity = ProblemRecord::Severity::error,
                       .sentence = text(error.message),
                       .hint = text(error.hint),
                       .path = about};
  std::erase(problems_, record);
  problems_.push_back(record);
  problemsView_.setRecord(problems_);
  guide_.setProblem(record.sentence, record.hint, record.path);
}

void WorkPresenter::clearProblems() {
  problems_.clear();
  if (document_.hasModel())
    for (const std::string& problem : document_.model().problems)
      problems_.push_back(
          {.id = {}, .severity = ProblemRecord::Severity::warning, .sentence = text(problem), .hint = {}, .path = {}});
  problemsView_.setRecord(problems_);
  guide_.setProblem({}, {}, {});
}

void WorkPresenter::showProgress() {
  using Progress = GuideRecord::Progress;
  GuideRecord record;
  const bool steps[] = {document_.hasModel(), document_.statistics().has_value(), document_.undoStack().count() > 0,
                        exported_};
  bool reached = true;
  for (std::size_t i = 0; i < 4; ++i) {
    record.steps[i] = steps[i] && reached ? Progress::done : reached ? Progress::current : Progress::later;
    reached = reached && steps[i];
  }
  for (const RecentFile& file : recent_.files())
    record.recent.push_back(
        {.path = file.path, .name = QFileInfo(file.path).completeBaseName(), .when = {}, .missing = file.missing});
  guide_.setRecord(record);
}

void WorkPresenter::showProvenance() {
  std::vector<ProvenanceSection> sections;
  if (document_.hasModel()) {
    const ModelRecord& model = document_.model();
    sections.push_back({tr("Model"),
                        {{tr("Path"), text(model.path)},
                         {tr("Content hash"), text(model.hash)},
                         {tr("Family"), text(model.shape.family)},
                         {tr("Shape"), tr("%1 layers, %2 query heads, %3 KV heads of %4, hidden %5")
                                           .arg(model.shape.layers)
                                           .arg(model.shape.queryHeads)
                                           .arg(model.shape.kvHeads)
                                           .arg(model.shape.headDim)
                                           .arg(model.shape.hiddenSize)},
                         {tr("Parameters"), countText(model.shape.parameters)},
                         {tr("Stored as"), text(model.storageType)},
                         {tr("Rotary embedding"), text(model.rope)},
                         {tr("Cache"), tr("%1 a token").arg(bytesText(model.shape.cacheBytesPerToken()))}}});
  }
  if (const auto& statistics = document_.statistics()) {
    QStringList texts;
    for (const std::string& path : statistics->texts) texts << text(path);
    sections.push_back(
        {tr("Calibration"),
         {{tr("Text"), texts.join(QStringLiteral(", "))},
          {tr("Tokens"),
           tr("%L1 in %L2 windows of %L3").arg(statistics->tokens).arg(statistics->windows).arg(statistics->window)},
          {tr("Tokens' hash"), text(statistics->tokensHash)},
          {tr("Statistics"), text(statistics->path)},
          {tr("Perplexity there"), decimalText(std::exp(statistics->loss.baseLoss), 3)},
          {tr("Computed on"), text(statistics->device)},
          {tr("In"), tr("%1 s").arg(decimalText(statistics->seconds, 1))}}});
  }
  provenance_.setRecord(sections);
}

}  // namespace kvista
