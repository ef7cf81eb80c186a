// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QBasicTimer>
#include <map>
#include <optional>
#include <vector>

#include "views/view.h"

class QLabel;
class QProgressBar;
class QVBoxLayout;

namespace kvista {

/// Something that takes a while.
struct JobRecord {
  enum class State { running, done, failed, cancelled };
  QString id;
  QString name;  ///< "Calibrate austen-mha-30m"
  State state = State::running;
  std::optional<double> share;  ///< Done, 0 to 1; absent where it is not known.
  QString stage;                ///< "second moments, layer 3"
  QString memory;               ///< What it takes and what is free, forecast before it began; may be empty.
  double elapsedSeconds = 0;
  std::optional<double> remainingSeconds;
  QString sentence, hint, details;  ///< Of a failure.
  bool canContinue = false;         ///< What failed can be asked for once more.
  bool operator==(const JobRecord&) const = default;
};

/// "42 % · 1 min 23 s · 1 min 55 s left", this many seconds after the record came.
QString progressText(const JobRecord& job, double sinceRecord = 0);
/// The share that is done; a bar without an end, which says that it is busy and not how far, where none is known.
void showShare(QProgressBar& bar, const JobRecord& job);

class JobRow;

/// What is running, with Cancel; what failed, until it is dismissed; what is finished, below.
class JobsView final : public View {
  Q_OBJECT

 public:
  explicit JobsView(QWidget* parent = nullptr);
  /// All jobs, the newest last. Jobs that are no longer among them go.
  void setRecord(const std::vector<JobRecord>& jobs);

 Q_SIGNALS:
  void cancelRequested(const QString& id);
  void copyRequested(const QString& id);
  void dismissed(const QString& id);
  void againRequested(const QString& id);

 protected:
  void timerEvent(QTimerEvent* event) override;

 private:
  void settle(JobRow* row);
  void showEmptyState();
  QBasicTimer clock_;  ///< Runs while a job does.
  std::map<QString, JobRow*> rows_;
  QVBoxLayout *present_, *earlier_;
  QLabel *earlierTitle_, *empty_;
};

}  // namespace kvista
