// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/engine_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvista {
namespace {

constexpr int kPatience = 30'000;
constexpr int kPingEvery = 5'000;
constexpr qint64 kLongLife = 60'000;
constexpr const char* kPingLane = "ping";

Result<nlohmann::json> asItIs(const nlohmann::json& json) { return json; }

}  // namespace

EngineClient::EngineClient(QObject* parent) : QObject(parent) {
  pause_.setSingleShot(true);
  patience_.setSingleShot(true);
  patience_.setInterval(kPatience);
  pings_.setInterval(kPingEvery);
  connect(&pause_, &QTimer::timeout, this, &EngineClient::connectEngine);
  connect(&patience_, &QTimer::timeout, this, [this] {
    failFor({ErrorCode::io,
             fmt::format("The engine '{}' did not say hello within {} seconds.", command_.text().toStdString(),
                         patience_.interval() / 1000),
             "", "Run the command in a terminal: it must wait silently for requests."});
  });
  connect(&pings_, &QTimer::timeout, this, &EngineClient::ping);
}

EngineClient::~EngineClient() {
  requests_.clear();
  disconnectEngine();
}

void EngineClient::start(const EngineCommand& command) {
  if (state_ != State::stopped) stop();
  command_ = command;
  wasReady_ = false;
  deaths_ = 0;
  connectEngine();
}

void EngineClient::stop() {
  disconnectEngine();
  setState(State::stopped);
  refuse({ErrorCode::cancelled, "The engine was stopped.", "", ""}, true);
}

void EngineClient::connectEngine() {
  if (!engineThread().isRunning()) engineThread().start();
  auto* connection = new EngineConnection(command_);
  connection_ = connection;
  connection->moveToThread(&engineThread());
  // Signals of a process that was given up may still be under way.
  const auto isCurrent = [this, connection] { return connection_ == connection; };
  connect(connection, &EngineConnection::started, this, [this, isCurrent] {
    if (isCurrent()) sayHello();
  });
  connect(connection, &EngineConnection::answered, this, [this, isCurrent](std::int64_t id, const Delivery& delivery) {
    if (isCurrent()) deliver(id, delivery);
  });
  connect(connection, &EngineConnection::progressed, this,
          [this, isCurrent](std::int64_t id, const std::shared_ptr<const nlohmann::json>& progress) {
            const auto request = requests_.find(id);
            if (!isCurrent() || request == requests_.end() || !request->second.context || !request->second.progress)
              return;
            const Progress tell = request->second.progress;  // It may cancel, and so end the request.
            tell(*progress);
          });
  connect(connection, &EngineConnection::ended, this, [this, isCurrent](const Error& error, bool couldStart) {
    if (isCurrent()) ended(error, couldStart);
  });
  QMetaObject::invokeMethod(connection, [connection] { connection->start(); });
  patience_.start();
  setState(State::starting);
}

void EngineClient::disconnectEngine() {
  pause_.stop();
  patience_.stop();
  pings_.stop();
  latency_.reset();
  EngineConnection* connection = std::exchange(connection_, nullptr);
  if (!connection) return;
  QMetaObject::invokeMethod(connection, [connection, within = farewell_] { connection->finish(within); });
}

void EngineClient::sayHello() {
  const std::int64_t id = nextId_++;
  const auto reading =
      typed<HelloRecord>(read<HelloRecord>, [this](const Result<HelloRecord>& hello) { heard(hello); });
  requests_.emplace(
      id, Request{QStringLiteral("hello"), nlohmann::json{{"protocol", kProtocolVersion}}, this, reading, {}, {}});
  send(id);
}

void EngineClient::ping() {
  // One at a time: an engine that is slow to answer is not helped by more questions.
  if (lanes_.contains(QLatin1String(kPingLane))) return;
  QElapsedTimer timer;
  timer.start();
  preview<HelloRecord>(QLatin1String(kPingLane), QStringLiteral("hello"),
                       nlohmann::json{{"protocol", kProtocolVersion}}, read<HelloRecord>, this,
                       [this, timer](const Result<HelloRecord>& hello) {
                         if (!hello) return;
                         latency_ = static_cast<double>(timer.nsecsElapsed()) / 1e6;
                         Q_EMIT latencyChanged();
                       });
}

void EngineClient::heard(const Result<HelloRecord>& hello) {
  if (state_ != State::starting) return;  // It failed in the meantime, and this is the echo.
  patience_.stop();
  const std::string name = command_.text().toStdString();
  const std::string hint = "Give the command of a kvista of the studio's version.";
  if (!hello)
    return failFor(
        {hello.error().code,
         fmt::format(
             "The engine '{}' is another program, or too old for this studio: it does not answer hello as it should.",
             name),
         hello.error().message, hint});
  if (hello->program != "kvista")
    return failFor({ErrorCode::invalidArgument,
                    fmt::format("The engine '{}' says that it is '{}', not kvista.", name, hello->program), "", hint});
  if (hello->protocol != kProtocolVersion)
    return failFor(
        {ErrorCode::invalidArgument,
         fmt::format("The engine '{}' is too {} for this studio: kvista {} speaks protocol {}, the studio {}.", name,
                     hello->protocol < kProtocolVersion ? "old" : "new", hello->version, hello->protocol,
                     kProtocolVersion),
         "", hint});
  hello_ = *hello;
  alive_.start();
  pings_.start();
  const bool again = std::exchange(wasReady_, true);
  // The signals come before what has been waiting: whoever reopens a model asks in answer to them.
  const std::int64_t firstNew = nextId_;
  setState(State::ready);
  if (again) Q_EMIT restarted();
  std::vector<std::int64_t> waiting;
  for (const auto& [id, request] : requests_)
    if (!request.sent && id < firstNew) waiting.push_back(id);
  for (const std::int64_t id : waiting) send(id);
  ping();
}

void EngineClient::ended(const Error& error, bool couldStart) {
  const bool wasAlive = state_ == State::ready;
  if (wasAlive && alive_.elapsed() > kLongLife) deaths_ = 0;
  if (!couldStart || !wasReady_) {
    Error problem = error;
    if (couldStart && problem.hint.empty()) problem.hint = "Run the command in a terminal to see what it says.";
    return failFor(std::move(problem));
  }
  if (deaths_ >= pauses_.size()) {
    Error problem = error;
    problem.message += fmt::format(" It has now ended {} times in a row.", deaths_ + 1);
    problem.hint = "Your edits are safe. Start the engine again when the cause is mended.";
    return failFor(std::move(problem));
  }
  const int pause = pauses_[deaths_++];
  disconnectEngine();
  problem_ = error;
  setState(State::lost);
  for (auto& [id, request] : requests_)
    if (request.sent && !request.lane.isEmpty() && request.deaths++ == 0) request.sent = false;
  Error lost = error;
  lost.hint = "The engine is started again by itself; your edits are safe.";
  refuse(lost, false);
  // An answer to one of these may have stopped us.
  if (state_ == State::lost) pause_.start(pause);
}

void EngineClient::failFor(Error error) {
  if (connection_) QMetaObject::invokeMethod(connection_, [connection = connection_] { connection->kill(); });
  disconnectEngine();
  problem_ = std::move(error);
  setState(State::failed);
  refuse(problem_, true);
}

void EngineClient::setState(State state) {
  if (state == state_) return;
  state_ = state;
  Q_EMIT stateChanged(state);
}

std::int64_t EngineClient::request(const QString& method, nlohmann::json params, QObject* context,
                                   std::function<void(Result<nlohmann::json>)> done, Progress progress) {
  return ask<nlohmann::json>(method, std::move(params), asItIs, context, std::move(done), std::move(progress));
}

std::int64_t EngineClient::enqueue(Request request) {
  if (!request.lane.isEmpty()) dropPreview(request.lane);
  const std::int64_t id = nextId_++;
  if (!request.lane.isEmpty()) lanes_[request.lane] = id;
  requests_.emplace(id, std::move(request));
  if (state_ == State::ready) {
    send(id);
  } else if (state_ == State::failed || state_ == State::stopped) {
    const Error error =
        state_ == State::failed ? problem_ : Error{ErrorCode::cancelled, "The engine is not running.", "", ""};
    QMetaObject::invokeMethod(
        this,
        [this, id, error] {
          if (const auto found = requests_.find(id); found != requests_.end())
            deliver(id, found->second.reading(tl::unexpected(error)));
        },
        Qt::QueuedConnection);
  }
  return id;
}

void EngineClient::send(std::int64_t id) {
  const auto found = requests_.find(id);
  if (found == requests_.end() || found->second.sent || !connection_) return;
  Request& request = found->second;
  request.sent = true;
  // Those of a lane may have to be asked again.
  nlohmann::json params = request.lane.isEmpty() ? std::exchange(request.params, nullptr) : request.params;
  QMetaObject::invokeMethod(connection_,
                            [connection = connection_, id, method = request.method, params = std::move(params),
                             reading = request.reading] { connection->send(id, method, params, reading); });
}

void EngineClient::dropPreview(const QString& lane) {
  const auto found = lanes_.constFind(lane);
  if (found == lanes_.constEnd()) return;
  const std::int64_t id = *found;
  cancel(id);
  requests_.erase(id);
  lanes_.remove(lane);
}

void EngineClient::cancel(std::int64_t id) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  if (found->second.sent) {
    if (connection_)
      QMetaObject::invokeMethod(connection_, [connection = connection_, own = nextId_++, id] {
        connection->send(own, QStringLiteral("cancel"), nlohmann::json{{"id", id}}, {});
      });
    return;
  }
  // Nobody has seen it yet.
  QMetaObject::invokeMethod(
      this,
      [this, id] {
        if (const auto waiting = requests_.find(id); waiting != requests_.end() && !waiting->second.sent)
          deliver(id, waiting->second.reading(
                          tl::unexpected(Error{ErrorCode::cancelled, "It was cancelled before it began.", "", ""})));
      },
      Qt::QueuedConnection);
}

void EngineClient::deliver(std::int64_t id, const Delivery& delivery) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  // Taken out first: `done` may ask again, or end the engine.
  const Request request = std::move(found->second);
  requests_.erase(found);
  if (!request.lane.isEmpty() && lanes_.value(request.lane) == id) lanes_.remove(request.lane);
  if (request.context) delivery();
  Q_EMIT answered();
}

bool EngineClient::isIdle() const {
  return std::ranges::all_of(requests_, [](const auto& each) { return each.second.lane == QLatin1String(kPingLane); });
}

void EngineClient::refuse(const Error& error, bool all) {
  std::vector<std::int64_t> ids;
  for (const auto& [id, request] : requests_)
    if (all || request.sent) ids.push_back(id);
  for (const std::int64_t id : ids)
    if (const auto found = requests_.find(id); found != requests_.end())
      deliver(id, found->second.reading(tl::unexpected(error)));
}

}  // namespace kvista
