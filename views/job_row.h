// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QElapsedTimer>
#include <QFrame>

#include "views/jobs_view.h"

class QPlainTextEdit;
class QPushButton;
class QToolButton;

namespace kvista {

/// One job: a line of words and a bar while it runs, a sentence and what to do about it when it failed.
class JobRow final : public QFrame {
  Q_OBJECT

 public:
  JobRow(const JobRecord& job, QWidget* parent);
  void setRecord(const JobRecord& job);
  [[nodiscard]] const JobRecord& record() const { return job_; }
  /// Elapsed and remaining time this many seconds after the record came: a stage that reports nothing still moves on.
  void showTimes(double sinceRecord);
  /// Seconds since the record came.
  [[nodiscard]] double age() const { return static_cast<double>(received_.elapsed()) / 1000; }
  /// Finished rows are quiet ones below the others.
  bool isEarlier = false;

 Q_SIGNALS:
  void cancelClicked();
  void copyClicked();
  void dismissClicked();
  void againClicked();

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  JobRecord job_;
  QElapsedTimer received_;
  QLabel *mark_, *name_, *state_, *took_, *stage_, *times_, *memory_, *sentence_, *hint_;
  QProgressBar* bar_;
  QPushButton *cancel_, *again_, *details_, *copy_, *dismiss_;
  QPlainTextEdit* report_;
  QWidget *progress_, *failure_;
};

}  // namespace kvista
