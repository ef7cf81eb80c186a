// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/spectrum.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace kvista {

namespace {

// The step that minimises the mean squared error of 2^b clamped mid-rise levels for a unit Gaussian, and that error, in
// closed form per cell and minimised numerically; the tests integrate them again.
constexpr std::array<double, kWidths.size()> kSteps = {0,         1.595769,  0.9956867,  0.5860194,   0.3352006,
                                                       0.1881388, 0.1040630, 0.03076239, 0.002448433, 0};
constexpr std::array<double, kWidths.size()> kDistortions = {
    1, 0.3633802, 0.1188461, 0.03743966, 0.01154288, 0.003495211, 0.001040045, 8.768619e-05, 5.355365e-07, 0};

double lookUp(const std::array<double, kWidths.size()>& table, int bits) {
  const auto width = std::find(kWidths.begin(), kWidths.end(), bits);
  if (width == kWidths.end()) return std::numeric_limits<double>::quiet_NaN();
  return table[static_cast<std::size_t>(width - kWidths.begin())];
}

}  // namespace

double gaussianDistortion(int bits) { return lookUp(kDistortions, bits); }

double trellisDistortion(int bits) {
  constexpr std::array kMeasured = {0.3036, 0.0928, 0.0291, 0.0091};
  return bits >= 1 && bits <= 4 ? kMeasured[static_cast<std::size_t>(bits) - 1] : gaussianDistortion(bits);
}

double gaussianStep(int bits) { return lookUp(kSteps, bits); }

double Spectrum::distortionAt(std::size_t direction, int bits) const {
  const auto width = std::find(widths.begin(), widths.end(), bits);
  if (width != widths.end()) {
    const std::size_t index = direction * widths.size() + static_cast<std::size_t>(width - widths.begin());
    if (index < distortion.size()) return distortion[index];
  }
  return gaussianDistortion(bits);
}

Spectrum nothingLost(const Spectrum& spectrum) {
  Spectrum nothing;
  nothing.eigenvalues.resize(spectrum.eigenvalues.size());
  return nothing;
}

double predictedLoss(const Spectrum& spectrum, const std::vector<std::uint8_t>& widths) {
  // One look-up a width, not a direction: this runs while a slider is dragged.
  std::array<bool, 256> isFitted{};
  for (const int width : spectrum.widths)
    if (width >= 0 && width < static_cast<int>(isFitted.size())) isFitted[static_cast<std::size_t>(width)] = true;
  std::array<double, 256> gaussian;
  gaussian.fill(std::numeric_limits<double>::quiet_NaN());
  for (std::size_t w = 0; w < kWidths.size(); ++w) gaussian[static_cast<std::size_t>(kWidths[w])] = kDistortions[w];

  double lost = 0;
  for (std::size_t i = 0; i < spectrum.eigenvalues.size(); ++i) {
    const std::uint8_t width = i < widths.size() ? widths[i] : std::uint8_t{0};
    const double distortion = isFitted[width] ? spectrum.distortionAt(i, width) : gaussian[width];
    lost += std::max(spectrum.eigenvalues[i], 0.0) * distortion;
  }
  return lost / 2;
}

double noiseEdge(const std::vector<double>& singularValues, double tokens) {
  if (singularValues.empty() || !(tokens > 0)) return 0;
  double squares = 0;
  for (const double value : singularValues) squares += value * value;
  const auto n = static_cast<double>(singularValues.size());
  return std::sqrt(squares / n) * (1 + std::sqrt(n / tokens));
}

SpectrumMeasures measure(const std::vector<double>& singularValues) {
  std::vector<double> values = singularValues;
  for (double& value : values)
    if (!std::isfinite(value) || value < 0) value = 0;
  std::sort(values.begin(), values.end(), std::greater<>());
  if (values.empty() || values.front() == 0) return {};

  // Relative to the largest, so that no square can overflow.
  const double largest = values.front();
  double sum = 0, sumSquares = 0, sumFourth = 0;
  for (double& value : values) {
    value /= largest;
    sum += value;
    sumSquares += value * value;
    sumFourth += value * value * value * value;
  }
  double entropy = 0;
  for (const double value : values)
    if (value > 0) entropy -= value / sum * std::log(value / sum);

  SpectrumMeasures measures;
  measures.effectiveRank = std::exp(entropy);
  measures.normalisedEffectiveRank = measures.effectiveRank / static_cast<double>(values.size());
  measures.stableRank = sumSquares;
  measures.participationRatio = sumSquares * sumSquares / sumFourth;
  const auto energyRank = [&](double part) {
    double kept = 0;
    int rank = 0;
    // The last term guards against rounding: all values together hold every part.
    while (kept < part * sumSquares && rank < static_cast<int>(values.size())) {
      const double value = values[static_cast<std::size_t>(rank++)];
      kept += value * value;
    }
    return rank;
  };
  measures.energyRank90 = energyRank(0.9);
  measures.energyRank95 = energyRank(0.95);
  measures.energyRank99 = energyRank(0.99);
  measures.energyRank999 = energyRank(0.999);
  return measures;
}

}  // namespace kvista
