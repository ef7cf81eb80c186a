// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace kvista {

/// Watches how long the thread that made it takes to answer: a thread of its own posts an event every few milliseconds
/// and the time until it is handled is a block. Time in which the thread was ready to run but the machine gave it no
/// processor is not counted, so that figures of a busy machine hold.
class Watchdog final : public QObject {
  Q_OBJECT

 public:
  /// What a person does not notice (S27).
  static constexpr double kAllowedMilliseconds = 50;

  Watchdog();
  ~Watchdog() override;
  /// The longest block so far, accurate to the interval of the events (2 ms).
  [[nodiscard]] double longestMilliseconds() const { return static_cast<double>(longest_.load()) / 1e6; }
  void reset() { longest_ = 0; }

  /// One that prints every block that is too long, and the longest one at its end, to the standard error, if
  /// KVISTA_WATCHDOG is set; null otherwise.
  static std::unique_ptr<Watchdog> fromEnvironment();

 private:
  struct Moment {
    std::int64_t now = 0;      // Nanoseconds.
    std::int64_t waiting = 0;  // Of them, how long the thread has waited for a processor since it began.
  };
  [[nodiscard]] Moment moment() const;
  void watch();
  void answer(const Moment& asked);

  long thread_;
  std::int64_t began_;
  std::atomic<std::int64_t> longest_ = 0;
  bool prints_ = false;
  std::mutex mutex_;
  std::condition_variable condition_;
  bool answered_ = true;
  bool ends_ = false;
  std::thread watcher_;
};

}  // namespace kvista
