// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace kvista {

/// One measured plan: predicted and measured rise of the mean loss, nats a token.
struct ResponsePoint {
  double predicted = 0;
  double measured = 0;
  bool operator==(const ResponsePoint&) const = default;
};

/// Corrects second-order predictions through measured points of the same model (methods.md section 2): the ratio
/// measured / predicted is interpolated linearly in log(predicted), held constant outside the points, and is 1 where
/// there are none. Monotone in `predicted`: measurements that fall while the prediction rises are noise and are
/// averaged first (isotonic regression), and between two points the curve stays between their measurements.
class ResponseCurve {
 public:
  ResponseCurve() = default;
  explicit ResponseCurve(std::vector<ResponsePoint> points);
  [[nodiscard]] double correct(double predicted) const;
  /// The largest prediction whose correction is at most `corrected`: the way back, for a target of allowed loss.
  [[nodiscard]] double predictionFor(double corrected) const;
  [[nodiscard]] const std::vector<ResponsePoint>& points() const { return points_; }
  bool operator==(const ResponseCurve&) const = default;

 private:
  std::vector<ResponsePoint> points_;  // As given, by rising prediction, only finite positive ones.
  std::vector<ResponsePoint> fitted_;  // The same with equal predictions merged and measurements made rising.
};

}  // namespace kvista
