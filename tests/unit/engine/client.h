// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// An engine in a thread of this process, spoken to through pipes as a window would.
#pragma once

#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "core/engine/serve.h"
#include "core/protocol/frame.h"

namespace kvista::test {

class Client {
 public:
  Client() : workspace_({"0.0.0", "cpu", at::kFloat}) {
    std::signal(SIGPIPE, SIG_IGN);
    std::array<int, 2> in{}, out{};
    if (pipe(in.data()) != 0 || pipe(out.data()) != 0) throw std::runtime_error("no pipes");
    toEngine_ = in[1];
    fromEngine_ = out[0];
    thread_ = std::thread([this, input = in[0], output = out[1]] {
      ended_ = serve(input, output, workspace_, stop_.get_token());
      close(input);
      close(output);
    });
  }
  ~Client() {
    hangUp();
    stop_.request_stop();
    thread_.join();
    close(fromEngine_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::int64_t ask(const std::string& method, nlohmann::json params = nlohmann::json::object()) {
    sendBytes(encodeFrame(requestMessage(++lastId_, method, std::move(params))));
    return lastId_;
  }
  void sendBytes(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = write(toEngine_, bytes.data(), bytes.size());
      if (count <= 0) throw std::runtime_error("the engine reads no more");
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }
  /// The next message; nothing at the stream's end.
  std::optional<nlohmann::json> next() {
    for (;;) {
      auto message = frames_.next();
      if (!message) throw std::runtime_error(message.error().message);
      if (*message) return std::move(**message);
      std::array<std::uint8_t, 65536> bytes;
      const ssize_t count = ::read(fromEngine_, bytes.data(), bytes.size());
      if (count <= 0) return std::nullopt;
      frames_.append(std::span(bytes).first(static_cast<std::size_t>(count)));
    }
  }
  /// The answer to a request; what comes before it is kept.
  Result<nlohmann::json> await(std::int64_t id) {
    for (std::size_t i = 0; i < kept_.size(); ++i)
      if (isAnswer(kept_[i], id)) {
        const nlohmann::json message = kept_[i];
        kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(i));
        return unpack(message);
      }
    while (auto message = next()) {
      if (isAnswer(*message, id)) return unpack(*message);
      kept_.push_back(*std::move(message));
    }
    throw std::runtime_error("the stream ended before the answer");
  }
  /// Reads until the request's first progress.
  void awaitProgress(std::int64_t id) {
    while (auto message = next()) {
      const bool wanted = (*message)["id"] == id && message->contains("progress");
      if (isAnswer(*message, id)) throw std::runtime_error("answered without progress: " + message->dump());
      kept_.push_back(*std::move(message));
      if (wanted) return;
    }
  }
  Result<nlohmann::json> call(const std::string& method, nlohmann::json params = nlohmann::json::object()) {
    return await(ask(method, std::move(params)));
  }
  /// Progress of a request among what was kept.
  std::vector<nlohmann::json> progressOf(std::int64_t id) const {
    std::vector<nlohmann::json> found;
    for (const nlohmann::json& message : kept_)
      if (message["id"] == id && message.contains("progress")) found.push_back(message["progress"]);
    return found;
  }
  void hangUp() {
    if (toEngine_ >= 0) close(std::exchange(toEngine_, -1));
  }
  void askToStop() { stop_.request_stop(); }
  /// Everything that is still sent, until the engine ends; then how it ended.
  std::vector<nlohmann::json> rest() {
    std::vector<nlohmann::json> messages = std::move(kept_);
    while (auto message = next()) messages.push_back(*std::move(message));
    return messages;
  }
  const Result<void>& howItEnded() {
    rest();
    return ended_;
  }

 private:
  static bool isAnswer(const nlohmann::json& message, std::int64_t id) {
    return message["id"] == id && (message.contains("result") || message.contains("error"));
  }
  static Result<nlohmann::json> unpack(const nlohmann::json& message) {
    if (message.contains("result")) return message["result"];
    return tl::unexpected(errorFromJson(message["error"]));
  }

  Workspace workspace_;
  std::stop_source stop_;
  Result<void> ended_;
  int toEngine_ = -1, fromEngine_ = -1;
  std::int64_t lastId_ = 0;
  FrameReader frames_;
  std::vector<nlohmann::json> kept_;
  std::thread thread_;
};

}  // namespace kvista::test
