// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/response.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace kvista {
namespace {

TEST(ResponseCurveTest, WithoutPointsNothingIsCorrected) {
  const ResponseCurve none;
  EXPECT_EQ(none.correct(0.3), 0.3);
  EXPECT_EQ(none.predictionFor(0.3), 0.3);
  const ResponseCurve useless({{0, 1}, {-1, 1}, {1, 0}, {1, -1}, {std::nan(""), 1}, {1, INFINITY}});
  EXPECT_TRUE(useless.points().empty());
  EXPECT_EQ(useless.correct(0.3), 0.3);
}

TEST(ResponseCurveTest, GoesThroughItsPointsAndKeepsTheOuterRatios) {
  const ResponseCurve curve({{0.4, 0.6}, {0.01, 0.011}, {0.1, 0.12}});
  EXPECT_EQ(curve.points().front(), (ResponsePoint{0.01, 0.011}));
  EXPECT_DOUBLE_EQ(curve.correct(0.01), 0.011);
  EXPECT_DOUBLE_EQ(curve.correct(0.1), 0.12);
  EXPECT_DOUBLE_EQ(curve.correct(0.4), 0.6);
  EXPECT_DOUBLE_EQ(curve.correct(0.001), 0.0011);
  EXPECT_DOUBLE_EQ(curve.correct(4), 6);
  EXPECT_EQ(curve.correct(0), 0);
  // Half way in the logarithm the ratio is the mean of 1.2 and 1.5.
  EXPECT_NEAR(curve.correct(0.2), 0.2 * 1.35, 1e-12);
}

TEST(ResponseCurveTest, OnePointScales) {
  const ResponseCurve curve({{0.2, 0.3}});
  EXPECT_DOUBLE_EQ(curve.correct(0.02), 0.03);
  EXPECT_DOUBLE_EQ(curve.correct(2), 3);
  EXPECT_NEAR(curve.predictionFor(3), 2, 1e-12);
}

TEST(ResponseCurveTest, NoisyPointsAreAveraged) {
  const ResponseCurve curve({{1, 2}, {1, 4}, {2, 5}, {3, 3}});
  EXPECT_EQ(curve.points().size(), 4u);
  EXPECT_DOUBLE_EQ(curve.correct(1), 3);
  EXPECT_DOUBLE_EQ(curve.correct(2), 4);
  EXPECT_DOUBLE_EQ(curve.correct(3), 4);
}

TEST(ResponseCurveTest, AlwaysRises) {
  std::mt19937 random(3);
  std::lognormal_distribution<double> logNormal(0, 2);
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<ResponsePoint> points(1 + random() % 6);
    for (auto& point : points) point = {logNormal(random), logNormal(random)};
    const ResponseCurve curve(points);
    double last = 0;
    for (double predicted = 1e-4; predicted < 1e4; predicted *= 1.05) {
      const double corrected = curve.correct(predicted);
      ASSERT_GE(corrected, last * (1 - 1e-12));
      last = corrected;
      // The way back reaches at least this prediction, and not beyond its correction.
      ASSERT_LE(curve.correct(curve.predictionFor(corrected)), corrected * (1 + 1e-12));
      ASSERT_GE(curve.predictionFor(corrected), predicted * (1 - 1e-9));
    }
  }
}

}  // namespace
}  // namespace kvista
