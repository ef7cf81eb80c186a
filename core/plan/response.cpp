// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/response.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace kvista {

namespace {

/// Points of equal prediction become one, measurements are made to rise (pool adjacent violators).
std::vector<ResponsePoint> isotonic(const std::vector<ResponsePoint>& points) {
  struct Pool {
    double sum;
    double count;
    std::size_t first;  // Of the distinct predictions.
    [[nodiscard]] double mean() const { return sum / count; }
  };
  std::vector<double> predictions;
  std::vector<Pool> pools;
  for (const ResponsePoint& point : points) {
    if (!predictions.empty() && predictions.back() == point.predicted) {
      pools.back().sum += point.measured;
      pools.back().count += 1;
    } else {
      pools.push_back({point.measured, 1, predictions.size()});
      predictions.push_back(point.predicted);
    }
    while (pools.size() > 1 && pools[pools.size() - 2].mean() >= pools.back().mean()) {
      pools[pools.size() - 2].sum += pools.back().sum;
      pools[pools.size() - 2].count += pools.back().count;
      pools.pop_back();
    }
  }
  std::vector<ResponsePoint> fitted;
  for (std::size_t p = 0; p < pools.size(); ++p) {
    const std::size_t end = p + 1 < pools.size() ? pools[p + 1].first : predictions.size();
    for (std::size_t i = pools[p].first; i < end; ++i) fitted.push_back({predictions[i], pools[p].mean()});
  }
  return fitted;
}

}  // namespace

ResponseCurve::ResponseCurve(std::vector<ResponsePoint> points) : points_(std::move(points)) {
  std::erase_if(points_, [](const ResponsePoint& point) {
    return !(std::isfinite(point.predicted) && std::isfinite(point.measured) && point.predicted > 0 &&
             point.measured > 0);
  });
  std::sort(points_.begin(), points_.end(), [](const ResponsePoint& a, const ResponsePoint& b) {
    return a.predicted != b.predicted ? a.predicted < b.predicted : a.measured < b.measured;
  });
  fitted_ = isotonic(points_);
}

double ResponseCurve::correct(double predicted) const {
  if (fitted_.empty()) return predicted;
  const auto ratio = [](const ResponsePoint& point) { return point.measured / point.predicted; };
  if (!(predicted > fitted_.front().predicted)) return predicted * ratio(fitted_.front());
  if (predicted >= fitted_.back().predicted) return predicted * ratio(fitted_.back());
  const auto above = std::upper_bound(fitted_.begin(), fitted_.end(), predicted,
                                      [](double value, const ResponsePoint& point) { return value < point.predicted; });
  const ResponsePoint& low = *std::prev(above);
  const ResponsePoint& high = *above;
  const double part = std::log(predicted / low.predicted) / std::log(high.predicted / low.predicted);
  const double corrected = predicted * (ratio(low) + part * (ratio(high) - ratio(low)));
  // Where the ratio falls steeply the product rises above the next measurement and comes back: never below the first
  // point, so a clamp is all that monotony needs.
  return std::clamp(corrected, low.measured, high.measured);
}

double ResponseCurve::predictionFor(double corrected) const {
  if (fitted_.empty() || !(corrected > 0) || !std::isfinite(corrected)) return corrected;
  // The curve is p times a ratio between the smallest and the largest of the points.
  double smallest = fitted_.front().measured / fitted_.front().predicted;
  double largest = smallest;
  for (const ResponsePoint& point : fitted_) {
    smallest = std::min(smallest, point.measured / point.predicted);
    largest = std::max(largest, point.measured / point.predicted);
  }
  double low = corrected / largest;
  double high = corrected / smallest;
  constexpr int kHalvings = 100;
  for (int i = 0; i < kHalvings && low < high; ++i) {
    const double middle = low + (high - low) / 2;
    if (correct(middle) <= corrected)
      low = middle;
    else
      high = middle;
  }
  return low;
}

}  // namespace kvista
