// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QTimer>
#include <vector>

#include "app/studio/document.h"
#include "app/studio/job_list.h"
#include "app/studio/recent_files.h"
#include "app/studio/workflow.h"
#include "views/problems_view.h"

namespace kvista {

class GuideView;
class JobsView;
class ProvenanceView;

/// What surrounds the plan: the guide, jobs, problems, and where everything comes from.
class WorkPresenter final : public QObject {
  Q_OBJECT

 public:
  WorkPresenter(Document& document, Workflow& workflow, JobList& jobs, RecentFiles& recent, GuideView& guide,
                JobsView& jobsView, ProblemsView& problems, ProvenanceView& provenance);
  void addProblem(const QString& about, const Error& error);
  void clearProblems();
  [[nodiscard]] const std::vector<ProblemRecord>& problems() const { return problems_; }
  /// Which step of the guide comes next.
  void showProgress();

 Q_SIGNALS:
  /// "file.openFolder", "plan.calibrate", ...
  void actionRequested(const QString& id);
  void openRequested(const QString& path);
  void locateRequested(const QString& path);

 private:
  void showJobs();
  void showProvenance();
  void copyReport(const QString& id);
  Document& document_;
  Workflow& workflow_;
  JobList& jobs_;
  RecentFiles& recent_;
  GuideView& guide_;
  JobsView& jobsView_;
  ProblemsView& problemsView_;
  ProvenanceView& provenance_;
  std::vector<ProblemRecord> problems_;
  QTimer clock_;  // While something runs, for the time that has passed.
  bool exported_ = false;
};

}  // namespace kvista
