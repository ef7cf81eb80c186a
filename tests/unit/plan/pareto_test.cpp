// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/pareto.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace kvista {
namespace {

using Indices = std::vector<std::size_t>;

bool beats(const CostQuality& a, const CostQuality& b) {
  return a.cost <= b.cost && a.loss <= b.loss && (a.cost < b.cost || a.loss < b.loss);
}

TEST(ParetoTest, LeavesOutWhatIsBeaten) {
  const std::vector<CostQuality> points = {{4, 1}, {1, 4}, {2, 2}, {3, 3}, {2, 5}, {5, 1}};
  EXPECT_EQ(paretoFront(points), (Indices{1, 2, 0}));
  EXPECT_TRUE(paretoFront({}).empty());
}

TEST(ParetoTest, EqualPointsAreOneAndWhatIsNoNumberIsNone) {
  const std::vector<CostQuality> points = {{NAN, 0}, {1, INFINITY}, {2, 2}, {2, 2}, {-INFINITY, 1}};
  EXPECT_EQ(paretoFront(points), (Indices{2}));
}

TEST(ParetoTest, IsTheDefinition) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<CostQuality> points;
    for (int i = 0; i < 40; ++i)
      points.push_back({static_cast<double>(random() % 12), static_cast<double>(random() % 12)});
    const Indices front = paretoFront(points);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const bool beaten =
          std::any_of(points.begin(), points.end(), [&](const auto& other) { return beats(other, points[i]); });
      const bool stood = std::any_of(front.begin(), front.end(), [&](std::size_t f) { return points[f] == points[i]; });
      EXPECT_EQ(stood, !beaten);
    }
    for (std::size_t i = 1; i < front.size(); ++i) {
      EXPECT_LT(points[front[i - 1]].cost, points[front[i]].cost);
      EXPECT_GT(points[front[i - 1]].loss, points[front[i]].loss);
    }
  }
}

}  // namespace
}  // namespace kvista
