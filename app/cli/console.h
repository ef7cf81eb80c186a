// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/error.h"
#include "core/base/task.h"

namespace kvista {

/// What a verb answers: the same facts for programs and for people.
struct Output {
  nlohmann::ordered_json json;
  std::string text;
};

enum ExitCode : int { kDone = 0, kUsage = 2, kBadInput = 3, kEnvironment = 4, kInternal = 5, kCancelled = 130 };
ExitCode exitCodeOf(ErrorCode code);

/// Progress on standard error: one line that is rewritten on a terminal, a line every few seconds elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(bool quiet);
  void report(const ProgressReport& report);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool quiet_;
  bool terminal_;
  bool shown_ = false;
  std::string stage_;
  std::uint64_t firstDone_ = 0;
  Clock::time_point stageStart_, lastShown_;
};

/// "1.2 GB", "640 B"; powers of ten.
std::string formatBytes(double bytes);
/// "3 s", "2 min 5 s".
std::string formatDuration(double seconds);

}  // namespace kvista
