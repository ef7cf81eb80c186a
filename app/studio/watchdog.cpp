// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/watchdog.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

namespace kvista {
namespace {

constexpr std::chrono::milliseconds kInterval{2};

}  // namespace

Watchdog::Watchdog() : thread_(::syscall(SYS_gettid)), began_(moment().now), watcher_([this] { watch(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  condition_.notify_all();
  watcher_.join();
  if (prints_) fmt::print(stderr, "longest block of the window's thread: {:.1f} ms\n", longestMilliseconds());
}

std::unique_ptr<Watchdog> Watchdog::fromEnvironment() {
  if (!qEnvironmentVariableIsSet("KVISTA_WATCHDOG")) return nullptr;
  auto watchdog = std::make_unique<Watchdog>();
  watchdog->prints_ = true;
  return watchdog;
}

Watchdog::Moment Watchdog::moment() const {
  Moment moment;
  moment.now = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  // Linux: nanoseconds run, nanoseconds waited for a processor, times run. Elsewhere nothing is taken off.
  std::ifstream stream("/proc/self/task/" + std::to_string(thread_) + "/schedstat");
  std::int64_t ran = 0, waited = 0;
  if (stream >> ran >> waited) moment.waiting = waited;
  return moment;
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    condition_.wait_for(lock, kInterval, [this] { return ends_; });
    if (ends_ || !answered_) continue;
    answered_ = false;
    QMetaObject::invokeMethod(
        this, [this, asked = moment()] { answer(asked); }, Qt::QueuedConnection);
  }
}

void Watchdog::answer(const Moment& asked) {
  const Moment now = moment();
  const std::int64_t block = (now.now - asked.now) - (now.waiting - asked.waiting);
  longest_ = std::max(longest_.load(), block);
  if (prints_ && static_cast<double>(block) / 1e6 > kAllowedMilliseconds)
    fmt::print(stderr, "the window's thread was blocked for {:.1f} ms, {:.2f} s after it began\n",
               static_cast<double>(block) / 1e6, static_cast<double>(now.now - began_) / 1e9);
  const std::lock_guard lock(mutex_);
  answered_ = true;
}

}  // namespace kvista
