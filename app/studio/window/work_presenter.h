// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QTimer>
#include <optional>
#include <vector>

#include "app/studio/document.h"
#include "app/studio/job_list.h"
#include "app/studio/recent_files.h"
#include "app/studio/workflow.h"
#include "views/problems_view.h"

namespace kvista {

class GuideView;
class JobsView;
class ProblemBar;
class ProvenanceView;
class WorkLine;

/// The views of what surrounds the plan.
struct WorkViews {
  GuideView& guide;
  WorkLine& line;
  ProblemBar& bar;
  JobsView& jobs;
  ProblemsView& problems;
  ProvenanceView& provenance;
};

/// What surrounds the plan: the guide, jobs, problems, and where everything comes from.
class WorkPresenter final : public QObject {
  Q_OBJECT

 public:
  WorkPresenter(Document& document, Workflow& workflow, JobList& jobs, RecentFiles& recent, const WorkViews& views);
  /// `title`: what was tried, may be empty. `path`: the file or place, may be empty.
  void addProblem(const QString& title, const QString& path, const Error& error,
                  ProblemRecord::Severity severity = ProblemRecord::Severity::error);
  /// The engine cannot be used; nothing: it can.
  void setEngineProblem(const std::optional<Error>& error);
  void clearProblems();
  [[nodiscard]] const std::vector<ProblemRecord>& problems() const { return problems_; }
  /// Which step of the guide comes next.
  void showProgress();

 Q_SIGNALS:
  /// "file.openFolder", "plan.calibrate", ...
  void actionRequested(const QString& id);
  void openRequested(const QString& path);
  void recentRequested(const QString& path);
  void locateRequested(const QString& path);
  /// "jobs", "problems".
  void panelRequested(const QString& name);

 private:
  void showJobs();
  void showProvenance();
  void copyReport(const QString& id);
  void connectGuide();
  void connectJobs();
  void add(ProblemRecord problem);
  void dismiss(const QString& id);
  void showProblems();
  Document& document_;
  Workflow& workflow_;
  JobList& jobs_;
  RecentFiles& recent_;
  WorkViews views_;
  std::vector<ProblemRecord> problems_;  // In the order they came.
  int told_ = 0;
  QTimer clock_;  // While something runs, for the time that has passed.
  bool exported_ = false;
};

}  // namespace kvista
