// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "core/base/error.h"

namespace kvista {

struct ProgressReport {
  std::string stage;        ///< "calibrate", "evaluate", ...
  std::uint64_t done = 0;   ///< In `unit`s.
  std::uint64_t total = 0;  ///< 0 when it is not known.
  std::string unit;         ///< "tokens", "bytes", "layers", ...
};

/// What a long-running function is given: a way to hear that it shall stop and a way to say how far it is.
/// Functions check `stop` at least every 50 ms of their own work and return `ErrorCode::cancelled`.
struct Task {
  std::stop_token stop;
  std::function<void(const ProgressReport&)> report;

  [[nodiscard]] Result<void> checkStop() const {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "Cancelled.");
    return {};
  }
  void progress(std::string stage, std::uint64_t done, std::uint64_t total, std::string unit) const {
    if (report) report({std::move(stage), done, total, std::move(unit)});
  }
};

}  // namespace kvista
