// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/job.h"

#include <fmt/format.h>

#include "core/model/torch_guard.h"
#include "core/protocol/frame.h"

namespace kvista {
namespace {

/// At most twenty reports a second: more than an eye follows, and a window has other things to do.
constexpr auto kBetweenReports = std::chrono::milliseconds(50);
/// Before this a remaining time is a guess from nothing.
constexpr double kSecondsBeforeEstimates = 0.5;

}  // namespace

Job::Job(std::int64_t id, const EngineMethod& method, nlohmann::json params, Outbox& outbox)
    : id_(id), method_(method), params_(std::move(params)), outbox_(outbox) {
  if (const auto preview = params_.find("preview"); preview != params_.end() && preview->is_string())
    preview_ = preview->get<std::string>();
}

void Job::run(Workspace& workspace) {
  {
    const std::lock_guard lock(mutex_);
    if (answered_) return;
    running_ = true;
  }
  Call call{workspace, params_,
            Task{stop_.get_token(),
                 [this](const ProgressReport& each) {
                   report({each.stage,
                           static_cast<std::int64_t>(each.done),
                           static_cast<std::int64_t>(each.total),
                           each.unit,
                           {},
                           {}});
                 }},
            [this](ProgressRecord each) { return report(std::move(each)); }};
  answer(guardTorch(fmt::format("The request \"{}\"", method_.name), [&] { return method_.run(call); }));
}

bool Job::cancel(const std::string& why) {
  stop_.request_stop();
  if (method_.answersWhenStopped) {
    const std::lock_guard lock(mutex_);
    if (running_) return !answered_;
  }
  return answer(fail(ErrorCode::cancelled, why));
}

bool Job::answer(const Result<nlohmann::json>& result) {
  // Sent under the lock, so that no progress follows an answer.
  const std::lock_guard lock(mutex_);
  if (answered_) return false;
  answered_ = true;
  outbox_.send(result ? resultMessage(id_, *result) : errorMessage(id_, result.error()));
  return true;
}

bool Job::isAnswered() {
  const std::lock_guard lock(mutex_);
  return answered_;
}

bool Job::report(ProgressRecord progress) {
  const Clock::time_point now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (answered_) return false;
  if (progress.stage != stage_) {
    stage_ = progress.stage;
    stageBegan_ = progress.done;
    stageStart_ = now;
  }
  if (now - lastReport_ < kBetweenReports) return false;
  lastReport_ = now;
  const double elapsed = std::chrono::duration<double>(now - stageStart_).count();
  const auto done = static_cast<double>(progress.done - stageBegan_);
  if (elapsed > kSecondsBeforeEstimates && done > 0 && progress.total > progress.done)
    progress.etaSeconds = elapsed / done * static_cast<double>(progress.total - progress.done);
  outbox_.send(progressMessage(id_, toJson(progress)));
  return true;
}

LaneThread::LaneThread(Workspace& workspace) : workspace_(workspace), thread_([this] { work(); }) {}

LaneThread::~LaneThread() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    waiting_.clear();
  }
  wake_.notify_one();
  thread_.join();
}

void LaneThread::add(std::shared_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void LaneThread::work() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
      if (ends_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
    job->run(workspace_);
  }
}

}  // namespace kvista
