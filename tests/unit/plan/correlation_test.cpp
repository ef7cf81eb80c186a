// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/correlation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/plan/spectrum.h"

namespace kvista {
namespace {

TEST(CorrelationTest, ClosedForms) {
  EXPECT_DOUBLE_EQ(pearson({1, 2, 3}, {2, 4, 6}), 1);
  EXPECT_DOUBLE_EQ(pearson({1, 2, 3}, {6, 4, 2}), -1);
  EXPECT_NEAR(pearson({1, 2, 3, 4}, {1, 3, 2, 4}), 0.8, 1e-12);
  EXPECT_TRUE(std::isnan(pearson({1, 1, 1}, {1, 2, 3})));
  EXPECT_TRUE(std::isnan(pearson({1}, {1})));
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3, 4}, {1, 10, 100, 1000}), 1);  // order is all that counts
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3, 4}, {8, 4, 2, 1}), -1);
  EXPECT_NEAR(spearman({1, 2, 2, 3}, {1, 2, 3, 4}), std::sqrt(0.9), 1e-12);  // equal numbers share their ranks' mean
}

TEST(NoiseEdgeTest, IsThatOfMarchenkoAndPastur) {
  EXPECT_DOUBLE_EQ(noiseEdge({2, 2, 2, 2}, 16), 2 * 1.5);  // sqrt(4 / 16) = 1/2
  EXPECT_NEAR(noiseEdge({3, 1}, 2), std::sqrt(5.0) * 2, 1e-12);
  EXPECT_EQ(noiseEdge({}, 10), 0);
}

}  // namespace
}  // namespace kvista
