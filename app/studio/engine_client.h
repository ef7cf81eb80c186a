// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QElapsedTimer>
#include <QHash>
#include <QObject>
#include <QPointer>
#include <QTimer>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/studio/engine_command.h"
#include "app/studio/engine_connection.h"
#include "core/base/error.h"
#include "core/protocol/records.h"

namespace kvista {

/// The engine as the window knows it: asks, and is answered on the window's thread without ever waiting for it. The
/// process, its frames and the reading of records live on another thread. A process that dies is started again, with
/// longer and longer pauses; what it was working on is answered with an error, once. One that is given up is not waited
/// for either (see finishEngines).
class EngineClient final : public QObject {
  Q_OBJECT

 public:
  enum class State {
    stopped,   ///< Never started, or ended by us.
    starting,  ///< No hello yet; requests wait.
    ready,
    lost,    ///< It died and is about to be started again; requests wait.
    failed,  ///< It cannot be used and `problem` says why; requests are refused. start() tries again.
  };
  Q_ENUM(State)

  using Progress = std::function<void(const nlohmann::json& progress)>;

  explicit EngineClient(QObject* parent = nullptr);
  ~EngineClient() override;

  void start(const EngineCommand& command);
  /// Ends the engine; whatever was asked is answered as cancelled.
  void stop();
  /// Pauses before the first, second, ... start after a death; one more death in a row is a failure. A process that
  /// lived a minute begins a new row.
  void setPauses(std::vector<int> milliseconds) { pauses_ = std::move(milliseconds); }
  /// How long the engine may take to say hello, passwords typed at ssh's own prompt included.
  void setPatience(int milliseconds) { patience_.setInterval(milliseconds); }
  /// How long it may take to end when it is no longer wanted, before it is killed.
  void setFarewell(int milliseconds) { farewell_ = milliseconds; }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const EngineCommand& command() const { return command_; }
  /// Why the state is `lost` or `failed`.
  [[nodiscard]] const Error& problem() const { return problem_; }
  /// Who answered, once ready.
  [[nodiscard]] const HelloRecord& hello() const { return hello_; }
  /// Of a hello there and back, measured every few seconds; absent before the first.
  [[nodiscard]] std::optional<double> latencyMilliseconds() const { return latency_; }

  /// Asks; `done` is called once, later, on this thread, unless `context` is gone by then. Requests wait for an engine
  /// that is not ready yet. Returns the id for cancel().
  std::int64_t request(const QString& method, nlohmann::json params, QObject* context,
                       std::function<void(Result<nlohmann::json>)> done, Progress progress = {});
  /// The same with the answer read by `reader` (such as read<EvaluationRecord>) on the engine's thread.
  template <class Value>
  std::int64_t ask(const QString& method, nlohmann::json params, Result<Value> (*reader)(const nlohmann::json&),
                   QObject* context, std::function<void(Result<Value>)> done, Progress progress = {}) {
    return enqueue(
        {method, std::move(params), context, typed<Value>(reader, std::move(done)), std::move(progress), {}});
  }
  /// The same where only the newest request of a `lane` counts: an older one is cancelled and never answered. Such a
  /// request changes nothing, so one that the engine died over is asked once more before it is answered with an error.
  template <class Value>
  std::int64_t preview(const QString& lane, const QString& method, nlohmann::json params,
                       Result<Value> (*reader)(const nlohmann::json&), QObject* context,
                       std::function<void(Result<Value>)> done, Progress progress = {}) {
    return enqueue(
        {method, std::move(params), context, typed<Value>(reader, std::move(done)), std::move(progress), lane});
  }
  /// Forgets the request of a lane, if there is one.
  void dropPreview(const QString& lane);
  /// Asks the engine to stop working on it; it then answers, as a rule with ErrorCode::cancelled. Unknown ids are
  /// ignored.
  void cancel(std::int64_t id);
  /// Nothing was asked that is not answered, but for what keeps the connection alive.
  [[nodiscard]] bool isIdle() const;
  [[nodiscard]] bool isOutstanding(std::int64_t id) const { return requests_.contains(id); }

 Q_SIGNALS:
  void stateChanged(kvista::EngineClient::State state);
  /// A new process is ready in place of one that died: it knows no model yet. What is asked in answer to this signal
  /// goes out before what has been waiting.
  void restarted();
  void latencyChanged();
  /// After whoever asked has been told.
  void answered();

 private:
  struct Request {
    QString method;
    nlohmann::json params;
    QPointer<QObject> context;
    Reading reading;
    Progress progress;
    QString lane;
    bool sent = false;
    int deaths = 0;  // Of the engine, while it worked on this.
  };

  template <class Value>
  static Reading typed(Result<Value> (*reader)(const nlohmann::json&), std::function<void(Result<Value>)> done) {
    return [reader, done = std::move(done)](Result<nlohmann::json> answer) -> Delivery {
      auto value = std::make_shared<Result<Value>>(answer ? reader(*answer)
                                                          : Result<Value>(tl::unexpected(std::move(answer).error())));
      return [value, done] { done(std::move(*value)); };
    };
  }

  std::int64_t enqueue(Request request);
  void send(std::int64_t id);
  void connectEngine();
  void disconnectEngine();
  void sayHello();
  void ping();
  void heard(const Result<HelloRecord>& hello);
  void ended(const Error& error, bool couldStart);
  void failFor(Error error);
  void setState(State state);
  /// Answers requests with an error: those sent, or all.
  void refuse(const Error& error, bool all);
  void deliver(std::int64_t id, const Delivery& delivery);

  EngineCommand command_;
  EngineConnection* connection_ = nullptr;  // Lives on the engines' thread.
  State state_ = State::stopped;
  Error problem_;
  HelloRecord hello_;
  std::optional<double> latency_;
  std::map<std::int64_t, Request> requests_;  // In the order they were made.
  QHash<QString, std::int64_t> lanes_;
  std::int64_t nextId_ = 1;
  bool wasReady_ = false;   // Since start().
  std::size_t deaths_ = 0;  // In a row.
  std::vector<int> pauses_ = {0, 500, 2000, 8000};
  int farewell_ = 2000;
  QTimer pause_, patience_, pings_;
  QElapsedTimer alive_;
};

}  // namespace kvista
