// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/serve.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <list>
#include <optional>

#include "core/engine/job.h"
#include "core/io/file_descriptor.h"
#include "core/protocol/fields.h"
#include "core/protocol/frame.h"

namespace kvista {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 16;

/// What came with an id that can be answered.
struct Request {
  std::int64_t id = 0;
  std::string method;
  nlohmann::json params;
};

Result<Request> requestOf(nlohmann::json& message) {
  Fields fields(message, "a request");
  Request request;
  request.id = fields.integer("id", -kLargestInteger);
  request.method = fields.text("method");
  if (fields.has("params")) request.params = std::move(message["params"]);
  if (request.params.is_null()) request.params = nlohmann::json::object();
  if (!request.params.is_object()) fields.mistake("params", "is not a map");
  return fields.finish(std::move(request));
}

class Server {
 public:
  Server(int output, Workspace& workspace)
      : outbox_(output), light_(workspace), compute_(workspace), workspace_(workspace) {}
  ~Server() {
    for (const auto& job : jobs_) job->cancel("The engine ends.");
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void take(nlohmann::json message) {
    jobs_.remove_if([](const auto& job) { return job->isAnswered(); });
    const auto id = message.find("id");
    const std::optional<std::int64_t> answerTo =
        id != message.end() && id->is_number_integer() ? std::optional(id->get<std::int64_t>()) : std::nullopt;
    auto request = requestOf(message);
    if (!request) return outbox_.send(errorMessage(answerTo, request.error()));
    if (find(request->id))
      return outbox_.send(errorMessage(
          std::nullopt, {ErrorCode::invalidArgument,
                         fmt::format("The id {} is that of a request at work.", request->id), "", "Count on."}));
    const EngineMethod* method = findEngineMethod(request->method);
    if (!method)
      return outbox_.send(errorMessage(
          request->id, {ErrorCode::invalidArgument, fmt::format("The engine has no method \"{}\".", request->method),
                        "", "Engine and client are of different versions, perhaps."}));
    if (method->lane == Lane::reader) return cancel(*request);
    const auto job = std::make_shared<Job>(request->id, *method, std::move(request->params), outbox_);
    if (!job->preview().empty())
      for (const auto& other : jobs_)
        if (other->preview() == job->preview()) other->cancel("A newer request took its place.");
    if (method->atOnce)
      if (const auto answer = method->atOnce(workspace_, job->params())) {
        job->answer(*answer);
        return;
      }
    jobs_.push_back(job);
    (method->lane == Lane::light ? light_ : compute_).add(job);
  }

  Outbox& outbox() { return outbox_; }

 private:
  std::shared_ptr<Job> find(std::int64_t id) const {
    for (const auto& job : jobs_)
      if (job->id() == id) return job;
    return nullptr;
  }

  void cancel(const Request& request) {
    Fields fields(request.params, "the parameters of cancel");
    const auto id = fields.finish(fields.integer("id", -kLargestInteger));
    if (!id) return outbox_.send(errorMessage(request.id, id.error()));
    const auto job = find(*id);
    const bool cancelled = job && job->cancel("Cancelled.");
    outbox_.send(resultMessage(request.id, {{"cancelled", cancelled}}));
  }

  Outbox outbox_;
  std::list<std::shared_ptr<Job>> jobs_;  // Not answered yet, as far as the reading thread knows.
  LaneThread light_, compute_;
  Workspace& workspace_;
};

}  // namespace

Result<void> serve(int input, int output, Workspace& workspace, std::stop_token stop) {
  const FileDescriptor wake(eventfd(0, EFD_CLOEXEC));
  const std::stop_callback waking(stop, [&] {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wake.get(), &one, sizeof(one));
  });
  Server server(output, workspace);
  FrameReader frames;
  std::array<std::uint8_t, kReadBytes> bytes;
  while (!stop.stop_requested() && !server.outbox().isClosed()) {
    std::array<pollfd, 2> ready = {{{input, POLLIN, 0}, {wake.get(), POLLIN, 0}}};
    if (poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR)
      return fail(ErrorCode::io, fmt::format("Requests cannot be waited for: {}.", std::strerror(errno)));
    if (ready[0].revents == 0) continue;
    const ssize_t count = ::read(input, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(ErrorCode::io, fmt::format("Requests cannot be read: {}.", std::strerror(errno)));
    if (count == 0) break;
    frames.append(std::span(bytes).first(static_cast<std::size_t>(count)));
    for (;;) {
      auto message = frames.next();
      if (!message) {
        server.outbox().send(errorMessage(std::nullopt, message.error()));
        return tl::unexpected(std::move(message).error());
      }
      if (!*message) break;
      server.take(std::move(**message));
    }
  }
  return {};
}

}  // namespace kvista
