// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <thread>

#include "core/engine/method.h"
#include "core/engine/outbox.h"

namespace kvista {

/// A request that waits or is worked on. It is answered once: whoever comes first, its work or whoever cancels it.
class Job {
 public:
  Job(std::int64_t id, const EngineMethod& method, nlohmann::json params, Outbox& outbox);

  /// Works and answers. Does nothing but forget what was cancelled before its turn came.
  void run(Workspace& workspace);
  /// Answers that it was cancelled, at once, and asks the work to stop; where that answers when it is stopped, it only
  /// asks. False: it was answered already.
  bool cancel(const std::string& why);
  /// Sends the answer. False: it was answered already.
  bool answer(const Result<nlohmann::json>& result);

  [[nodiscard]] std::int64_t id() const { return id_; }
  [[nodiscard]] const EngineMethod& method() const { return method_; }
  [[nodiscard]] const nlohmann::json& params() const { return params_; }
  [[nodiscard]] const std::string& preview() const { return preview_; }
  [[nodiscard]] bool isAnswered();

 private:
  using Clock = std::chrono::steady_clock;
  bool report(ProgressRecord progress);

  std::int64_t id_;
  const EngineMethod& method_;
  nlohmann::json params_;
  std::string preview_;  // Its name: a later request of the same name takes its place.
  Outbox& outbox_;
  std::stop_source stop_;
  std::mutex mutex_;
  bool answered_ = false, running_ = false;
  // Progress: when the stage began, and what was sent last.
  std::string stage_;
  std::int64_t stageBegan_ = 0;
  Clock::time_point stageStart_, lastReport_;
};

/// Works on one job after another.
class LaneThread {
 public:
  explicit LaneThread(Workspace& workspace);
  ~LaneThread();  ///< Waits for the running job; those that wait are dropped.
  LaneThread(const LaneThread&) = delete;
  LaneThread& operator=(const LaneThread&) = delete;
  void add(std::shared_ptr<Job> job);

 private:
  void work();
  Workspace& workspace_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> waiting_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace kvista
