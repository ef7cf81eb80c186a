// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QProcess>
#include <QThread>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "app/studio/engine_command.h"
#include "core/protocol/frame.h"

namespace kvista {

/// What is done with an answer once it has been read; runs on the window's thread.
using Delivery = std::function<void()>;
/// Reads an answer into what is wanted of it; runs where answers are decoded, away from the window's thread.
using Reading = std::function<Delivery(Result<nlohmann::json>)>;

/// Where every connection lives.
QThread& engineThread();
/// Waits until every engine that was given up has ended; for the program's end, when nobody connects any more.
void finishEngines();

/// One engine process, from start to end: bytes, frames and answers. Lives on engineThread(), because an answer can
/// have megabytes; EngineClient is its face on the window's thread. Public functions are slots: call them queued.
class EngineConnection final : public QObject {
  Q_OBJECT

 public:
  explicit EngineConnection(EngineCommand command);
  ~EngineConnection() override;

  void start();
  void send(std::int64_t id, const QString& method, const nlohmann::json& params, Reading reading);
  /// Kills the process: it says nonsense, or nobody wants its answers.
  void kill();
  /// Closes its input, by which it ends; kills it when it does not within `milliseconds`. Waits for neither: the
  /// connection says no more, and goes when the process has gone.
  void finish(int milliseconds);

 Q_SIGNALS:
  void started();
  /// `delivery` is to be run on the receiver's thread.
  void answered(std::int64_t id, const Delivery& delivery);
  void progressed(std::int64_t id, const std::shared_ptr<const nlohmann::json>& progress);
  /// The last signal. `error` says how it ended in the engine's own words where it had some.
  void ended(const Error& error, bool couldStart);

 private:
  void read();
  void take(nlohmann::json message);
  void end(Error error);
  [[nodiscard]] std::string lastWords();

  EngineCommand command_;
  std::unique_ptr<QProcess> process_;
  FrameReader reader_;
  std::unordered_map<std::int64_t, Reading> readings_;
  QByteArray standardError_;  // Its end.
  bool hasStarted_ = false;
  bool hasEnded_ = false;
};

}  // namespace kvista
