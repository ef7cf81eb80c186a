// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/engine_connection.h"

#include <fmt/format.h>

#include <QTimer>
#include <atomic>
#include <span>

namespace kvista {
namespace {

constexpr qsizetype kKeptStandardError = 4096;

std::atomic<int> connections = 0;         // That live.
std::atomic<bool> threadIsToEnd = false;  // With the last of them.

void endThreadWithTheLast() {
  if (threadIsToEnd && connections == 0) engineThread().quit();
}

}  // namespace

QThread& engineThread() {
  static QThread thread;
  return thread;
}

void finishEngines() {
  threadIsToEnd = true;
  endThreadWithTheLast();
  engineThread().wait();
  threadIsToEnd = false;
}

EngineConnection::EngineConnection(EngineCommand command) : command_(std::move(command)) {
  qRegisterMetaType<Delivery>("Delivery");
  ++connections;
}

EngineConnection::~EngineConnection() {
  if (process_) process_->disconnect(this);
  --connections;
  endThreadWithTheLast();
}

void EngineConnection::start() {
  process_ = std::make_unique<QProcess>();
  process_->setProgram(command_.program);
  process_->setArguments(command_.arguments);
  connect(process_.get(), &QProcess::started, this, [this] {
    hasStarted_ = true;
    Q_EMIT started();
  });
  connect(process_.get(), &QProcess::readyReadStandardOutput, this, &EngineConnection::read);
  connect(process_.get(), &QProcess::readyReadStandardError, this,
          [this] { standardError_ = (standardError_ + process_->readAllStandardError()).right(kKeptStandardError); });
  connect(process_.get(), &QProcess::errorOccurred, this, [this](QProcess::ProcessError error) {
    if (error == QProcess::FailedToStart)
      end({ErrorCode::io, fmt::format("The engine '{}' cannot be started.", command_.program.toStdString()),
           process_->errorString().toStdString(),
           "Install kvista beside the studio, or give another engine's command line."});
  });
  connect(process_.get(), &QProcess::finished, this, [this](int code, QProcess::ExitStatus status) {
    read();  // What it said before it ended is still an answer.
    const std::string how = status == QProcess::CrashExit ? fmt::format("was killed by signal {}", code)
                                                          : fmt::format("ended with code {}", code);
    end({ErrorCode::io, fmt::format("The engine '{}' {}.", command_.text().toStdString(), how), lastWords(), ""});
  });
  process_->start();
}

void EngineConnection::send(std::int64_t id, const QString& method, const nlohmann::json& params, Reading reading) {
  if (hasEnded_ || !process_) return;
  if (reading) readings_.emplace(id, std::move(reading));
  const std::vector<std::uint8_t> frame = encodeFrame(requestMessage(id, method.toStdString(), params));
  process_->write(reinterpret_cast<const char*>(frame.data()), static_cast<qint64>(frame.size()));
}

void EngineConnection::kill() {
  if (process_) process_->kill();
}

void EngineConnection::finish(int milliseconds) {
  hasEnded_ = true;
  readings_.clear();
  if (!process_ || process_->state() == QProcess::NotRunning) return deleteLater();
  connect(process_.get(), &QProcess::stateChanged, this, [this](QProcess::ProcessState state) {
    if (state == QProcess::NotRunning) deleteLater();
  });
  process_->closeWriteChannel();
  QTimer::singleShot(milliseconds, process_.get(), &QProcess::kill);
}

void EngineConnection::read() {
  if (hasEnded_) return;
  const QByteArray bytes = process_->readAllStandardOutput();
  reader_.append(
      std::span(reinterpret_cast<const std::uint8_t*>(bytes.constData()), static_cast<std::size_t>(bytes.size())));
  for (;;) {
    auto message = reader_.next();
    if (!message) {
      Error error = std::move(message).error();
      error.message = fmt::format("What '{}' says is not the protocol of KVista's engine. {}",
                                  command_.text().toStdString(), error.message);
      error.detail = std::string(QByteArray(bytes.left(80)).toPercentEncoding(" ").constData());
      error.hint = "Check the engine's command line; a remote shell must print nothing of its own.";
      end(std::move(error));
      return;
    }
    if (!*message) return;
    take(std::move(**message));
  }
}

void EngineConnection::take(nlohmann::json message) {
  const auto id = message.find("id");
  // Of nobody: a later version's way to tell of something.
  if (id == message.end() || !id->is_number_integer()) return;
  const auto number = id->get<std::int64_t>();
  if (const auto progress = message.find("progress"); progress != message.end()) {
    Q_EMIT progressed(number, std::make_shared<const nlohmann::json>(std::move(*progress)));
    return;
  }
  const auto reading = readings_.find(number);
  if (reading == readings_.end()) return;
  Result<nlohmann::json> answer = fail(ErrorCode::internal, "The engine's answer holds neither a result nor an error.");
  if (const auto result = message.find("result"); result != message.end())
    answer = std::move(*result);
  else if (const auto error = message.find("error"); error != message.end())
    answer = tl::unexpected(errorFromJson(*error));
  const Reading read = std::move(reading->second);
  readings_.erase(reading);
  Q_EMIT answered(number, read(std::move(answer)));
}

void EngineConnection::end(Error error) {
  if (std::exchange(hasEnded_, true)) return;
  readings_.clear();
  if (process_->state() != QProcess::NotRunning) process_->kill();
  Q_EMIT ended(error, hasStarted_);
}

std::string EngineConnection::lastWords() {
  standardError_ = (standardError_ + process_->readAllStandardError()).right(kKeptStandardError);
  return standardError_.trimmed().toStdString();
}

}  // namespace kvista
