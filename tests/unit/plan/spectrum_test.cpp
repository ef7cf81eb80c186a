// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/spectrum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>

namespace kvista {
namespace {

/// Mean squared error of the clamped mid-rise quantiser of a unit Gaussian, by Simpson's rule cell by cell.
double integratedDistortion(int bits, double step) {
  const int levels = 1 << (bits - 1);  // On the positive side.
  const auto density = [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); };
  const auto integral = [&](double low, double high, double level) {
    constexpr int kIntervals = 64;
    const double h = (high - low) / kIntervals;
    double sum = 0;
    for (int i = 0; i <= kIntervals; ++i) {
      const double x = low + i * h;
      sum += (i == 0 || i == kIntervals ? 1 : i % 2 != 0 ? 4 : 2) * (x - level) * (x - level) * density(x);
    }
    return sum * h / 3;
  };
  double error = 0;
  for (int k = 0; k < levels; ++k) error += integral(k * step, (k + 1) * step, (k + 0.5) * step);
  constexpr double kFar = 12;
  const double edge = levels * step;
  for (double low = edge; low < kFar; low += 0.5) error += integral(low, low + 0.5, edge - step / 2);
  return 2 * error;
}

TEST(GaussianQuantiserTest, TableIsTheIntegral) {
  for (const int bits : {1, 2, 3, 4, 5, 6, 8, 12})
    EXPECT_NEAR(integratedDistortion(bits, gaussianStep(bits)) / gaussianDistortion(bits), 1, 1e-5) << bits;
  EXPECT_EQ(gaussianDistortion(0), 1);
  EXPECT_EQ(gaussianDistortion(16), 0);
  EXPECT_EQ(gaussianStep(0), 0);
  EXPECT_EQ(gaussianStep(16), 0);
  EXPECT_TRUE(std::isnan(gaussianDistortion(7)));
}

TEST(GaussianQuantiserTest, StepsAreTheBestOnes) {
  for (const int bits : {1, 2, 3, 4, 5, 6, 8, 12}) {
    const double best = integratedDistortion(bits, gaussianStep(bits));
    EXPECT_LT(best, integratedDistortion(bits, gaussianStep(bits) * 1.01)) << bits;
    EXPECT_LT(best, integratedDistortion(bits, gaussianStep(bits) * 0.99)) << bits;
  }
  EXPECT_NEAR(gaussianStep(1), 2 * std::sqrt(2 / std::numbers::pi), 1e-6);  // One bit: the mean of |x|, twice.
  EXPECT_NEAR(gaussianDistortion(1), 1 - 2 / std::numbers::pi, 1e-7);
}

TEST(SpectrumTest, FittedDistortionsTakePrecedence) {
  Spectrum spectrum{{4, 2}, {0, 4}, {1, 0.25F, 1, 0.5F}};
  EXPECT_DOUBLE_EQ(spectrum.distortionAt(0, 4), 0.25);
  EXPECT_DOUBLE_EQ(spectrum.distortionAt(1, 4), 0.5);
  EXPECT_DOUBLE_EQ(spectrum.distortionAt(0, 2), gaussianDistortion(2));
  EXPECT_DOUBLE_EQ(spectrum.distortionAt(0, 16), 0);
  EXPECT_DOUBLE_EQ(predictedLoss(spectrum, {4, 4}), (4 * 0.25 + 2 * 0.5) / 2);
  EXPECT_DOUBLE_EQ(predictedLoss(spectrum, {16, 0}), 1);
  EXPECT_DOUBLE_EQ(predictedLoss(spectrum, {2, 16}), 2 * gaussianDistortion(2));
}

TEST(SpectrumTest, LossOfLowRankIsHalfTheTail) {
  const Spectrum spectrum{{5, 3, 2, 1, -1e-9}, {}, {}};
  EXPECT_DOUBLE_EQ(predictedLoss(spectrum, {16, 16, 0, 0, 0}), 1.5);
  EXPECT_DOUBLE_EQ(predictedLoss(spectrum, {16, 16}), 1.5);
  EXPECT_DOUBLE_EQ(predictedLoss(spectrum, {}), 5.5);
  EXPECT_TRUE(std::isnan(predictedLoss(spectrum, {7, 0, 0, 0, 0})));
}

TEST(SpectrumMeasuresTest, ClosedForms) {
  const auto flat = measure(std::vector<double>(10, 3.0));
  EXPECT_NEAR(flat.normalisedEffectiveRank, 1, 1e-12);
  EXPECT_NEAR(flat.effectiveRank, 10, 1e-11);
  EXPECT_NEAR(flat.stableRank, 10, 1e-12);
  EXPECT_NEAR(flat.participationRatio, 10, 1e-12);
  EXPECT_EQ(flat.energyRank90, 9);
  EXPECT_EQ(flat.energyRank95, 10);

  const auto single = measure({0, 7, 0, 0});
  EXPECT_NEAR(single.normalisedEffectiveRank, 0.25, 1e-12);
  EXPECT_NEAR(single.stableRank, 1, 1e-12);
  EXPECT_EQ(single.energyRank999, 1);

  const auto pair = measure({1, 3});  // p = 3/4, 1/4; energies 9/10, 1/10.
  EXPECT_NEAR(pair.effectiveRank, std::exp(-0.75 * std::log(0.75) - 0.25 * std::log(0.25)), 1e-12);
  EXPECT_NEAR(pair.stableRank, 10.0 / 9, 1e-12);
  EXPECT_NEAR(pair.participationRatio, 100.0 / 82, 1e-12);
  EXPECT_EQ(pair.energyRank95, 2);
}

TEST(SpectrumMeasuresTest, NothingAndNoiseAreZero) {
  for (const auto& values : {std::vector<double>{}, {0, 0}, {-1, std::nan("")}}) {
    const auto measures = measure(values);
    EXPECT_EQ(measures.effectiveRank, 0);
    EXPECT_EQ(measures.energyRank999, 0);
  }
  EXPECT_NEAR(measure({1e300, 1e300}).participationRatio, 2, 1e-12);
}

TEST(SpectrumMeasuresTest, RanksAreOrdered) {
  // n >= erank >= (sum s)^2 / sum s^2 >= energy erank >= participation >= stable >= 1 (methods.md section 7).
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int trial = 0; trial < 500; ++trial) {
    const int n = 1 + static_cast<int>(random() % 64);
    const double decay = 8 * uniform(random);
    std::vector<double> values;
    for (int i = 0; i < n; ++i) values.push_back(std::exp(-decay * uniform(random)) * (uniform(random) + 1e-3));
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    const double squares = std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
    double energyEntropy = 0;
    for (const double value : values) energyEntropy -= value * value / squares * std::log(value * value / squares);

    const auto measures = measure(values);
    const double slack = 1 + 1e-12;
    EXPECT_LE(measures.effectiveRank, n * slack);
    EXPECT_LE(sum * sum / squares, measures.effectiveRank * slack);
    EXPECT_LE(std::exp(energyEntropy), sum * sum / squares * slack);
    EXPECT_LE(measures.participationRatio, std::exp(energyEntropy) * slack);
    EXPECT_LE(measures.stableRank, measures.participationRatio * slack);
    EXPECT_GE(measures.stableRank * slack, 1);
    EXPECT_DOUBLE_EQ(measures.normalisedEffectiveRank, measures.effectiveRank / n);
    EXPECT_LE(measures.energyRank90, measures.energyRank95);
    EXPECT_LE(measures.energyRank95, measures.energyRank99);
    EXPECT_LE(measures.energyRank99, measures.energyRank999);
    EXPECT_LE(measures.energyRank999, n);
  }
}

}  // namespace
}  // namespace kvista
