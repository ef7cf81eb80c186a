// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cmath>

namespace kvista {

/// A logarithmic axis: values to parts of its length and back.
struct LogScale {
  double low = -1;  ///< log10 of both ends.
  double high = 0;

  /// 0 at the low end, 1 at the high one, beyond them outside; what has no logarithm lies below.
  [[nodiscard]] double part(double value) const { return value > 0 ? (std::log10(value) - low) / (high - low) : -1; }
  [[nodiscard]] double value(double part) const { return std::pow(10.0, low + part * (high - low)); }
  [[nodiscard]] int firstDecade() const { return static_cast<int>(std::ceil(low - 1e-9)); }
  [[nodiscard]] int lastDecade() const { return static_cast<int>(std::floor(high + 1e-9)); }
  bool operator==(const LogScale&) const = default;
};

}  // namespace kvista
