// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QBasicTimer>
#include <map>
#include <optional>
#include <vector>

#include "views/view.h"

class QLabel;
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
  double elapsedSeconds = 0;
  std::optional<double> remainingSeconds;
  QString sentence, hint, details;  ///< Of a failure.
  bool operator==(const JobRecord&) const = default;
};

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
