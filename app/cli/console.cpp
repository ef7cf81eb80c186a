// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

namespace kvista {

ExitCode exitCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalidArgument:
      return kUsage;
    case ErrorCode::unsupportedModel:
    case ErrorCode::corruptFile:
    case ErrorCode::io:
    case ErrorCode::numerical:
      return kBadInput;
    case ErrorCode::outOfMemory:
    case ErrorCode::device:
      return kEnvironment;
    case ErrorCode::cancelled:
      return kCancelled;
    case ErrorCode::internal:
      return kInternal;
  }
  return kInternal;
}

ProgressLine::ProgressLine(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressLine::report(const ProgressReport& report) {
  if (quiet_) return;
  const Clock::time_point now = Clock::now();
  if (report.stage != stage_) {
    stage_ = report.stage;
    firstDone_ = report.done;
    stageStart_ = now;
    lastShown_ = {};
  }
  const auto interval = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5000);
  if (now - lastShown_ < interval) return;
  lastShown_ = now;

  const double elapsed = std::chrono::duration<double>(now - stageStart_).count();
  std::string line = stage_;
  if (report.total > 0) {
    // Units come as plurals.
    const std::string_view unit =
        std::string_view(report.unit)
            .substr(0, report.unit.size() - (report.total == 1 && report.unit.ends_with('s') ? 1 : 0));
    line += fmt::format(": {} of {} {} ({} %)", report.done, report.total, unit, report.done * 100 / report.total);
    if (report.done > firstDone_ && elapsed > 0.5) {
      const double rate = static_cast<double>(report.done - firstDone_) / elapsed;
      line += fmt::format(", {:.0f} {}/s, {} left", rate, report.unit,
                          formatDuration(static_cast<double>(report.total - report.done) / rate));
    }
  }
  fmt::print(stderr, "{}{}{}", terminal_ ? "\r\033[K" : "", line, terminal_ ? "" : "\n");
  std::fflush(stderr);
  shown_ = terminal_;
}

void ProgressLine::clear() {
  if (shown_) fmt::print(stderr, "\r\033[K");
  shown_ = false;
}

std::string formatBytes(double bytes) {
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  for (; bytes >= 999.5 && unit + 1 < kUnits.size(); ++unit) bytes /= 1000;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.3g} {}", bytes, kUnits[unit]);
}

std::string formatDuration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace kvista
