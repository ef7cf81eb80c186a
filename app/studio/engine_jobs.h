// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QHash>
#include <QObject>
#include <QPointer>
#include <QString>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/studio/engine_client.h"
#include "app/studio/job_list.h"

namespace kvista {

/// Asks the engine for what takes a while, and shows in the list what is under way.
class EngineJobs final : public QObject {
  Q_OBJECT

 public:
  EngineJobs(EngineClient& engine, JobList& list) : engine_(engine), list_(list) {}

  /// How a job is followed: progress beyond what the list shows, and how it is asked for once more.
  struct Following {
    std::function<void(const ProgressRecord&)> progress = {};
    std::function<void()> again = {};   ///< Empty: the same request.
    QString memory = {};                ///< What it was forecast to take.
    std::function<void()> undone = {};  ///< It has failed or was cancelled.
  };
  /// A job that somebody asked for; `done` says what came of it. It is offered once more where the engine died over it.
  template <class Record>
  std::int64_t start(const QString& name, const QString& method, const nlohmann::json& params,
                     Result<Record> (*reader)(const nlohmann::json&), std::function<QString(Record)> done,
                     Following following = {}) {
    // The id is not known before the request is made; answers come later than that.
    auto id = std::make_shared<std::int64_t>(0);
    *id = engine_.ask<Record>(
        method, params, reader, this,
        [this, id, name, method, params, reader, done, following](Result<Record> answer) {
          if (answer) return list_.succeed(*id, done(*std::move(answer)));
          if (following.undone) following.undone();
          fail(
              *id, method, answer.error(),
              following.again ? following.again : [this, name, method, params, reader, done, following] {
                start(name, method, params, reader, done, following);
              });
        },
        [this, id, following](const nlohmann::json& message) { report(*id, message, following.progress); });
    list_.begin(*id, name, false, following.memory);
    return *id;
  }

  /// Of each lane, without one of each method, only the newest counts, and it is seen as a job only while it runs.
  template <class Record>
  void preview(const QString& name, const QString& method, const nlohmann::json& params,
               Result<Record> (*reader)(const nlohmann::json&), QObject* context,
               std::function<void(Result<Record>)> done, const QString& laneWanted = {}) {
    const QString lane = laneWanted.isEmpty() ? method : laneWanted;
    dropPreview(lane);
    auto id = std::make_shared<std::int64_t>(0);
    *id = engine_.preview<Record>(
        lane, method, params, reader, this,
        [this, id, lane, context = QPointer<QObject>(context), done = std::move(done)](Result<Record> answer) {
          if (previews_.value(lane) == *id) previews_.remove(lane);
          list_.drop(*id);
          if (context) done(std::move(answer));
        },
        [this, id](const nlohmann::json& message) { report(*id, message, {}); });
    previews_.insert(lane, *id);
    list_.begin(*id, name, true);
  }
  void dropPreview(const QString& lane);

  /// Begins a work, with the forecast in words, once that says that it fits; otherwise the work fails with what is
  /// lacking. Where it is not known the work begins: the engine refuses what does not fit. `question`: forecastMemory's
  /// parameters. Returns the id of the question, which stands in the list for the work until then.
  std::int64_t whenItFits(const nlohmann::json& question, const QString& name,
                          std::function<void(const QString& memory)> begin, std::function<void()> undone = {});

  void cancel(std::int64_t id) { engine_.cancel(id); }
  /// Asks once more for what the engine died over; an engine that was given up is started again for it.
  void goOn(std::int64_t id);

 private:
  void report(std::int64_t id, const nlohmann::json& message,
              const std::function<void(const ProgressRecord&)>& progress);
  void fail(std::int64_t id, const QString& method, Error error, std::function<void()> again);
  EngineClient& engine_;
  JobList& list_;
  QHash<QString, std::int64_t> previews_;  // By lane, while they run.
};

}  // namespace kvista
