// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/report/plot.h"

#include <gmock/gmock.h>

#include <cmath>

namespace kvista::test {
namespace {

using plot::Axis;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

std::vector<double> ticksRound(Axis axis, const std::vector<double>& values) {
  fit(axis, values);
  for (const double value : values) {
    const double shown = axis.base > 0 ? std::log(value) / std::log(axis.base) : value;
    EXPECT_GE(shown, axis.low - 1e-9);
    EXPECT_LE(shown, axis.high + 1e-9);
  }
  return axis.ticks();
}

TEST(Plot, TicksOfALinearAxisAreOneTwoOrFiveTimesPowersOfTen) {
  for (const double reach : {0.013, 0.7, 1.0, 3.0, 7.3, 19.9, 47.0, 100.0, 1234.0})
    for (const double least : {0.0, -0.37 * reach}) {
      const std::vector<double> ticks = ticksRound({.base = 0}, {least, reach});
      ASSERT_GE(ticks.size(), 3U) << reach;
      EXPECT_LE(ticks.size(), 12U) << reach;
      const double step = ticks[1] - ticks[0], leading = step / std::pow(10, std::floor(std::log10(step) + 1e-9));
      EXPECT_TRUE(std::abs(leading - 1) < 1e-6 || std::abs(leading - 2) < 1e-6 || std::abs(leading - 5) < 1e-6) << step;
      for (const double tick : ticks) EXPECT_NEAR(tick / step, std::round(tick / step), 1e-6);
    }
  EXPECT_THAT(ticksRound({.base = 0}, {0.0, 13.2}), ElementsAre(0, 2, 4, 6, 8, 10, 12, 14));
  EXPECT_THAT(ticksRound({.base = 0}, {0.0, 0.0}).size(), 11U);  // Of nothing, up to 1.
}

TEST(Plot, LayersHaveNoTicksBetweenThem) {
  EXPECT_THAT((Axis{.low = 0, .high = 3, .base = 0, .isWhole = true}).ticks(), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT((Axis{.low = 0, .high = 31, .base = 0, .isWhole = true}).ticks(), ElementsAre(0, 5, 10, 15, 20, 25, 30));
}

TEST(Plot, TicksOfALogarithmicAxisAreWholePowersAndOfFewDecadesWhatIsBetween) {
  EXPECT_THAT(ticksRound({.base = 10}, {0.003, 0.7}),
              Pointwise(DoubleNear(1e-12), {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0}));
  EXPECT_THAT(ticksRound({.base = 10}, {1e-4, 3.0}), Pointwise(DoubleNear(1e-9), {1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0}));
  EXPECT_THAT(ticksRound({.base = 2}, {1.0 / 16, 0.3}), Pointwise(DoubleNear(1e-12), {0.0625, 0.125, 0.25, 0.5}));
  EXPECT_THAT((Axis{.low = 0, .high = std::log10(64), .base = 10}).ticks(),
              Pointwise(DoubleNear(1e-9), {1.0, 2.0, 5.0, 10.0, 20.0, 50.0}));
}

}  // namespace
}  // namespace kvista::test
