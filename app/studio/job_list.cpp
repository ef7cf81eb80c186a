// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/job_list.h"

#include <algorithm>

namespace kvista {
namespace {

constexpr std::size_t kMostRemembered = 50;

}  // namespace

void JobList::begin(std::int64_t id, const QString& name, bool passing, const QString& memory) {
  Job job;
  job.id = id;
  job.name = name;
  job.passing = passing;
  job.memory = memory;
  job.started = QDateTime::currentDateTime();
  jobs_.insert(jobs_.begin(), std::move(job));
  if (jobs_.size() > kMostRemembered && jobs_.back().state != Job::State::running) jobs_.pop_back();
  Q_EMIT changed();
}

void JobList::report(std::int64_t id, ProgressRecord progress) {
  Job* job = find(id);
  if (!job) return;
  job->progress = std::move(progress);
  job->reported = QDateTime::currentDateTime();
  Q_EMIT changed();
}

void JobList::succeed(std::int64_t id, const QString& result) {
  if (Job* job = find(id)) job->result = result;
  end(id, Job::State::succeeded);
}

void JobList::fail(std::int64_t id, const Error& error, std::function<void()> again) {
  Job* job = find(id);
  if (!job) return;
  const bool cancelled = error.code == ErrorCode::cancelled;
  job->error = error;
  if (!cancelled) job->again = std::move(again);
  const Job ended = *job;  // Whoever hears of it may change the list.
  end(id, cancelled ? Job::State::cancelled : Job::State::failed);
  if (!cancelled) Q_EMIT failed(ended);
}

void JobList::forget(std::int64_t id) {
  std::erase_if(jobs_, [id](const Job& job) { return job.id == id && job.state != Job::State::running; });
  Q_EMIT changed();
}

void JobList::drop(std::int64_t id) {
  if (std::erase_if(jobs_, [id](const Job& job) { return job.id == id; }) > 0) Q_EMIT changed();
}

bool JobList::isBusy() const {
  return std::ranges::any_of(jobs_, [](const Job& job) { return job.state == Job::State::running && !job.passing; });
}

bool JobList::isRunning() const {
  return std::ranges::any_of(jobs_, [](const Job& job) { return job.state == Job::State::running; });
}

Job* JobList::find(std::int64_t id) {
  const auto found = std::ranges::find(jobs_, id, &Job::id);
  return found == jobs_.end() ? nullptr : &*found;
}

void JobList::end(std::int64_t id, Job::State state) {
  if (Job* job = find(id)) {
    job->state = state;
    job->ended = QDateTime::currentDateTime();
    Q_EMIT changed();
  }
}

}  // namespace kvista
