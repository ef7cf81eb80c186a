// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDateTime>
#include <QObject>
#include <QString>
#include <functional>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/protocol/records.h"
#include "core/protocol/work_records.h"

namespace kvista {

/// A piece of the engine's work as a person sees it.
struct Job {
  enum class State { running, succeeded, failed, cancelled };
  std::int64_t id = 0;  ///< The request's.
  QString name;         ///< "Calibrate on book.txt"
  State state = State::running;
  bool passing = false;  ///< Nobody asked for it by itself: it is forgotten when it is done.
  QString memory;        ///< What it takes, forecast before it began; may be empty.
  ProgressRecord progress;
  QDateTime started, reported, ended;
  QString result;  ///< What came of it, in a few words.
  Error error;     ///< Of a failed one.
  /// Asks for the same once more; there where it failed only because the engine died over it.
  std::function<void()> again;
};

/// What the engine works on and has worked on, newest first.
class JobList final : public QObject {
  Q_OBJECT

 public:
  using QObject::QObject;
  void begin(std::int64_t id, const QString& name, bool passing = false, const QString& memory = {});
  void report(std::int64_t id, ProgressRecord progress);
  void succeed(std::int64_t id, const QString& result);
  void fail(std::int64_t id, const Error& error, std::function<void()> again = {});
  void forget(std::int64_t id);
  /// The same of one that runs.
  void drop(std::int64_t id);
  [[nodiscard]] const std::vector<Job>& jobs() const { return jobs_; }
  /// With what somebody asked for.
  [[nodiscard]] bool isBusy() const;
  /// With anything.
  [[nodiscard]] bool isRunning() const;

 Q_SIGNALS:
  void changed();
  void failed(const kvista::Job& job);

 private:
  Job* find(std::int64_t id);
  void end(std::int64_t id, Job::State state);
  std::vector<Job> jobs_;
};

}  // namespace kvista
