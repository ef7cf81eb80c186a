// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/engine/report/report.h"

namespace kvista {

/// One plan of a project as the plot of quality and bytes shows it.
struct PlanPoint {
  std::string name;
  std::string fingerprint;
  std::string method;
  std::int64_t bytesPerToken = 0;
  double share = 0;  ///< Of the 16-bit cache's bytes.
  /// Relative rise of perplexity, .02 for 2 %; absent where neither measured nor predicted.
  std::optional<double> rise;
  std::optional<double> predicted;  ///< Perplexity, as predicted.
  bool measured = false;
  bool current = false;
  bool onFront = false;  ///< No other is as good in both and better in one.
};
/// The plans tried, in their order, then the project's own where it is none of them.
std::vector<PlanPoint> planPoints(const Project& project);

/// Rise of perplexity over share of bytes, with the front of those that no other beats. Empty where nothing has both.
std::string qualitySvg(const std::vector<PlanPoint>& points);
/// Singular values of every layer of a side, falling; the colour says the layer. Empty without any.
std::string spectraSvg(const std::vector<LayerSpectrumRecord>& records, Side side);
/// Each kind of error layer by layer, as means over its heads. Empty without any.
std::string errorsSvg(const PlanErrorsRecord& errors);

/// Mean over a layer's heads; absent where there is none.
std::optional<double> meanOf(const Matrix& matrix, int layer);

}  // namespace kvista
