// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>
#include <vector>

#include "views/jobs_view.h"

class QProgressBar;
class QPushButton;

namespace kvista {

/// One quiet line, at the same place whatever else is shown: the newest job that runs, how far it is, Cancel; and how
/// many problems there are. It is empty where there is nothing to say.
class WorkLine final : public QWidget {
  Q_OBJECT

 public:
  explicit WorkLine(QWidget* parent = nullptr);
  /// All jobs, the newest last.
  void setJobs(const std::vector<JobRecord>& jobs);
  void setProblems(int count);

 Q_SIGNALS:
  void cancelRequested(const QString& id);
  void jobsWanted();
  void problemsWanted();

 private:
  QString shown_, cancelled_;  // Ids of jobs.
  QPushButton* name_;
  QProgressBar* bar_;
  QLabel* progress_;
  QPushButton *cancel_, *problems_;
};

}  // namespace kvista
