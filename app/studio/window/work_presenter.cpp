// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/work_presenter.h"

#include <QClipboard>
#include <QCoreApplication>
#include <QFileInfo>
#include <QGuiApplication>
#include <QLocale>
#include <algorithm>
#include <cmath>

#include "app/studio/window/provenance_sections.h"
#include "views/guide_view.h"
#include "views/jobs_view.h"
#include "views/number_text.h"
#include "views/problem_bar.h"
#include "views/provenance_view.h"
#include "views/work_line.h"

namespace kvista {
namespace {

/// Work that is over sooner than a person would look is not shown while it runs (S28). Times go on as often.
constexpr int kShownAfterMilliseconds = 300;
/// The id of what is wrong with the engine.
constexpr const char* kEngine = "engine";

QString text(const std::string& string) { return QString::fromStdString(string); }

JobRecord recordOf(const Job& job, const QDateTime& now) {
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
  record.memory = job.memory;
  record.elapsedSeconds = static_cast<double>(job.started.msecsTo(job.ended.isValid() ? job.ended : now)) / 1000;
  if (job.progress.etaSeconds)
    record.remainingSeconds =
        std::max(0.0, *job.progress.etaSeconds - static_cast<double>(job.reported.msecsTo(now)) / 1000);
  record.sentence = text(job.error.message);
  record.hint = text(job.error.hint);
  record.details = text(job.error.detail);
  record.canContinue = static_cast<bool>(job.again);
  return record;
}

/// All that is known of a failure, for whoever is to mend it.
QString reportOf(const QString& title, const QString& path, const Error& error, const QDateTime& when) {
  QStringList lines;
  for (const QString& line :
       {title, path, QStringLiteral("%1: %2").arg(QString::fromLatin1(nameOf(error.code).data()), text(error.message)),
        text(error.hint), text(error.detail)})
    if (!line.isEmpty()) lines << line;
  lines << QStringLiteral("KVista %1, %2").arg(QCoreApplication::applicationVersion(), when.toString(Qt::ISODate));
  return lines.join(QLatin1Char('\n'));
}

}  // namespace

WorkPresenter::WorkPresenter(Document& document, Workflow& workflow, JobList& jobs, RecentFiles& recent,
                             const WorkViews& views)
    : document_(document), workflow_(workflow), jobs_(jobs), recent_(recent), views_(views) {
  connectJobs();
  connectGuide();
  for (const auto signal : {&Document::modelChanged, &Document::statisticsChanged, &Document::projectChanged,
                            &Document::planChanged, &Document::resultsChanged})
    connect(&document_, signal, this, &WorkPresenter::showProvenance);
  connect(&workflow_.engine(), &EngineClient::stateChanged, this, &WorkPresenter::showProvenance);
  connect(&recent_, &RecentFiles::changed, this, &WorkPresenter::showProgress);
  connect(&workflow_, &Workflow::exported, this, [this] {
    exported_ = true;
    showProgress();
  });
  connect(&workflow_, &Workflow::opened, this, [this] {
    exported_ = false;
    showProgress();
  });
  showJobs();
  showProgress();
  showProvenance();
}

void WorkPresenter::connectJobs() {
  const auto cancel = [this](const QString& id) { workflow_.work().cancel(id.toLongLong()); };
  const auto goOn = [this](const QString& id) {
    if (id == QLatin1String(kEngine)) return Q_EMIT actionRequested(QStringLiteral("file.restartEngine"));
    workflow_.work().goOn(id.toLongLong());
    dismiss(id);
  };
  connect(&jobs_, &JobList::changed, this, &WorkPresenter::showJobs);
  connect(&jobs_, &JobList::failed, this, [this](const Job& job) {
    const bool interrupted = static_cast<bool>(job.again);
    const QString title = interrupted ? tr("%1 was interrupted").arg(job.name) : tr("%1 failed").arg(job.name);
    add({.id = QString::number(job.id),
         .sentence = text(job.error.message),
         .hint = text(job.error.hint),
         .path = {},
         .title = title,
         .report = reportOf(title, {}, job.error, job.ended),
         .again = interrupted ? tr("Continue") : QString()});
  });
  connect(&clock_, &QTimer::timeout, this, &WorkPresenter::showJobs);
  connect(&views_.line, &WorkLine::cancelRequested, this, cancel);
  connect(&views_.line, &WorkLine::jobsWanted, this, [this] { Q_EMIT panelRequested(QStringLiteral("jobs")); });
  connect(&views_.line, &WorkLine::problemsWanted, this, [this] { Q_EMIT panelRequested(QStringLiteral("problems")); });
  connect(&views_.bar, &ProblemBar::dismissed, this, &WorkPresenter::dismiss);
  connect(&views_.bar, &ProblemBar::againRequested, this, goOn);
  connect(&views_.jobs, &JobsView::cancelRequested, this, cancel);
  connect(&views_.jobs, &JobsView::dismissed, this, &WorkPresenter::dismiss);
  connect(&views_.jobs, &JobsView::againRequested, this, goOn);
  connect(&views_.jobs, &JobsView::copyRequested, this, &WorkPresenter::copyReport);
  connect(&views_.problems, &ProblemsView::jumpRequested, this, [this](const QString& id) {
    if (std::ranges::any_of(jobs_.jobs(), [&](const Job& job) { return QString::number(job.id) == id; }))
      Q_EMIT panelRequested(QStringLiteral("jobs"));
  });
}

void WorkPresenter::connectGuide() {
  GuideView& guide = views_.guide;
  connect(&guide, &GuideView::openRequested, this,
          [this] { Q_EMIT actionRequested(QStringLiteral("file.openFolder")); });
  connect(&guide, &GuideView::demoRequested, this, [this] { Q_EMIT actionRequested(QStringLiteral("file.openDemo")); });
  connect(&guide, &GuideView::recentChosen, this, &WorkPresenter::recentRequested);
  connect(&guide, &GuideView::locateRequested, this, &WorkPresenter::locateRequested);
  connect(&guide, &GuideView::removeRequested, &recent_, &RecentFiles::remove);
  connect(&guide, &GuideView::dropped, this, [this](const QStringList& paths) {
    if (!paths.isEmpty()) Q_EMIT openRequested(paths.front());
  });
  connect(&guide, &GuideView::stepRequested, this, [this](GuideView::Step step) {
    switch (step) {
      case GuideView::open:
        return Q_EMIT actionRequested(QStringLiteral("file.openFolder"));
      case GuideView::calibrate:
        return Q_EMIT actionRequested(QStringLiteral("plan.calibrate"));
      case GuideView::plan:
        return Q_EMIT actionRequested(QStringLiteral("plan.make"));
      case GuideView::exportModel:
        return Q_EMIT actionRequested(QStringLiteral("plan.export"));
    }
  });
}

void WorkPresenter::showJobs() {
  std::vector<JobRecord> records;
  QString underWay;
  const QDateTime now = QDateTime::currentDateTime();
  std::vector<const Job*> jobs;
  for (const Job& job : jobs_.jobs()) jobs.push_back(&job);
  // What was asked for is shown before what only passes by.
  std::ranges::stable_partition(jobs, [](const Job* job) { return !job->passing; });
  for (const Job* each : jobs) {
    const Job& job = *each;
    const bool runs = job.state == Job::State::running;
    if (runs && job.started.msecsTo(now) < kShownAfterMilliseconds) continue;
    records.push_back(recordOf(job, now));
    if (!runs || !underWay.isEmpty()) continue;
    const auto& share = records.back().share;
    underWay = share ? tr("%1 %").arg(std::floor(100 * *share)) : tr("running");
  }
  std::ranges::reverse(records);  // The views show the newest last.
  views_.jobs.setRecord(records);
  views_.line.setJobs(records);
  views_.guide.setUnderWay(underWay);
  if (jobs_.isRunning() && !clock_.isActive()) clock_.start(kShownAfterMilliseconds);
  if (!jobs_.isRunning()) clock_.stop();
}

void WorkPresenter::copyReport(const QString& id) {
  for (const Job& job : jobs_.jobs())
    if (QString::number(job.id) == id)
      QGuiApplication::clipboard()->setText(reportOf(job.name, {}, job.error, job.ended));
}

void WorkPresenter::addProblem(const QString& title, const QString& path, const Error& error,
                               ProblemRecord::Severity severity) {
  add({.id = QStringLiteral("told %1").arg(++told_),
       .severity = severity,
       .sentence = text(error.message),
       .hint = text(error.hint),
       .path = path,
       .title = title,
       .report = reportOf(title, path, error, QDateTime::currentDateTime())});
}

void WorkPresenter::setEngineProblem(const std::optional<Error>& error) {
  dismiss(QLatin1String(kEngine));
  if (!error) return;
  add({.id = QLatin1String(kEngine),
       .sentence = text(error->message),
       .hint = text(error->hint),
       .path = {},
       .title = tr("There is no engine"),
       .report = reportOf(tr("There is no engine"), {}, *error, QDateTime::currentDateTime()),
       .again = tr("Start again")});
}

void WorkPresenter::add(ProblemRecord problem) {
  // What is said again is said once, and last. Where there is no engine, all that was asked of it fails for that
  // reason: it is the engine's problem, which knows the remedy, and says what it was for.
  const auto isEngines = [](const ProblemRecord& each) { return each.id == QLatin1String(kEngine); };
  std::erase_if(problems_, [&](const ProblemRecord& other) {
    if (other.sentence != problem.sentence) return false;
    if (isEngines(other) && !isEngines(problem)) {
      const QString path = problem.path;
      problem = other;
      if (!path.isEmpty()) problem.path = path;
    } else if (isEngines(problem)) {
      if (problem.path.isEmpty()) problem.path = other.path;
    } else {
      return other.subject() == problem.subject();
    }
    return true;
  });
  problems_.push_back(std::move(problem));
  showProblems();
}

void WorkPresenter::dismiss(const QString& id) {
  std::erase_if(problems_, [&](const ProblemRecord& problem) { return problem.id == id; });
  showProblems();
  jobs_.forget(id.toLongLong());
}

void WorkPresenter::clearProblems() {
  problems_.clear();
  if (document_.hasModel())
    for (const std::string& problem : document_.model().problems)
      problems_.push_back({.id = {},
                           .severity = ProblemRecord::Severity::warning,
                           .sentence = text(problem),
                           .hint = {},
                           .path = text(document_.model().path)});
  showProblems();
}

void WorkPresenter::showProblems() {
  views_.problems.setRecord(problems_);
  views_.bar.setRecord(problems_);
  views_.line.setProblems(static_cast<int>(problems_.size()));
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
        {.path = file.path,
         .name = QFileInfo(file.path).completeBaseName(),
         .when = file.opened.isValid() ? QLocale().toString(file.opened.date(), QLocale::ShortFormat) : QString(),
         .host = file.host,
         .missing = file.missing});
  views_.guide.setRecord(record);
}

void WorkPresenter::showProvenance() {
  // What is dragged has no fingerprint yet.
  if (!document_.isInGesture()) views_.provenance.setRecord(provenanceOf(document_, workflow_.engine()));
}

}  // namespace kvista
