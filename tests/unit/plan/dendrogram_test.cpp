// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/dendrogram.h"

#include <gmock/gmock.h>

#include <limits>
#include <random>
#include <set>

namespace kvista {
namespace {

using ::testing::ElementsAre;

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

/// Three points on a line at 0, 1, 3 and one at 10; similarity is minus the distance.
Matrix pointsOnALine() {
  const float place[] = {0, 1, 3, 10};
  Matrix matrix{4, 4, {}};
  for (const float a : place)
    for (const float b : place) matrix.values.push_back(-std::abs(a - b));
  return matrix;
}

TEST(DendrogramTest, PointsOnALineByHand) {
  // {0,1} at 1; then 3 with {0,1} at (3+2)/2; then 10 with {0,1,3} at (10+9+7)/3.
  const Dendrogram tree = averageLinkage(pointsOnALine());
  ASSERT_EQ(tree.merges.size(), 3U);
  EXPECT_EQ(tree.merges[0], (Dendrogram::Merge{0, 1, -1.0}));
  EXPECT_EQ(tree.merges[1], (Dendrogram::Merge{4, 2, -2.5}));
  EXPECT_EQ(tree.merges[2].left, 5);
  EXPECT_EQ(tree.merges[2].right, 3);
  EXPECT_DOUBLE_EQ(tree.merges[2].similarity, -26.0 / 3);
  EXPECT_THAT(leafOrder(tree), ElementsAre(0, 1, 2, 3));
}

TEST(DendrogramTest, TwoBlocksThatAreInterleavedComeApart) {
  // Even and odd leaves are alike among themselves (0.9 and 0.8), not with each other (0.1).
  Matrix matrix{6, 6, {}};
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 6; ++j) matrix.values.push_back(i % 2 != j % 2 ? 0.1F : i % 2 == 0 ? 0.9F : 0.8F);
  const Dendrogram tree = averageLinkage(matrix);
  EXPECT_THAT(leafOrder(tree), ElementsAre(0, 2, 4, 1, 3, 5));
  EXPECT_FLOAT_EQ(static_cast<float>(tree.merges.front().similarity), 0.9F);
  EXPECT_NEAR(tree.merges.back().similarity, 0.1, 1e-6);
}

TEST(DendrogramTest, WithinGroupsOnly) {
  const Dendrogram tree = averageLinkage(pointsOnALine(), {{3, 0}, {2, 1, 1, 7}});
  ASSERT_EQ(tree.merges.size(), 2U);
  EXPECT_EQ(tree.merges[0], (Dendrogram::Merge{1, 2, -2.0}));
  EXPECT_EQ(tree.merges[1], (Dendrogram::Merge{0, 3, -10.0}));
  EXPECT_THAT(leafOrder(tree), ElementsAre(0, 3, 1, 2));
}

TEST(DendrogramTest, WhatIsNotKnownIsJoinedLast) {
  Matrix matrix = pointsOnALine();
  for (int other = 0; other < 4; ++other)
    matrix.values[static_cast<std::size_t>(other)] = matrix.values[static_cast<std::size_t>(4 * other)] = kUnknown;
  const Dendrogram tree = averageLinkage(matrix);
  ASSERT_EQ(tree.merges.size(), 3U);
  EXPECT_EQ(tree.merges.back().left, 0);
  EXPECT_DOUBLE_EQ(tree.merges.back().similarity, -9.0);  // The lowest of those known: 1 and 10.
}

TEST(DendrogramTest, SidesOfAMatrixThatIsNotSymmetricAreAveraged) {
  const Dendrogram tree = averageLinkage(Matrix{2, 2, {1, 0.2F, 0.6F, 1}});
  ASSERT_EQ(tree.merges.size(), 1U);
  EXPECT_NEAR(tree.merges[0].similarity, 0.4, 1e-7);
}

TEST(DendrogramTest, EmptyAndBrokenMatrices) {
  EXPECT_EQ(averageLinkage(Matrix{}), Dendrogram{});
  EXPECT_EQ(averageLinkage(Matrix{2, 3, std::vector<float>(6)}), Dendrogram{});
  EXPECT_EQ(averageLinkage(Matrix{2, 2, {1}}), Dendrogram{});
  EXPECT_THAT(leafOrder(averageLinkage(Matrix{1, 1, {1}})), ElementsAre(0));
}

/// The definition itself: every merge is the most alike pair of clusters left, by the mean over all pairs of leaves.
TEST(DendrogramTest, AgreesWithTheDefinitionOnRandomMatrices) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform;
  for (int repetition = 0; repetition < 20; ++repetition) {
    const int n = 12;
    Matrix matrix{n, n, std::vector<float>(n * n)};
    for (int i = 0; i < n; ++i)
      for (int j = 0; j <= i; ++j)
        matrix.values[static_cast<std::size_t>(i * n + j)] = matrix.values[static_cast<std::size_t>(j * n + i)] =
            uniform(random);
    std::vector<std::vector<int>> clusters;
    for (int i = 0; i < n; ++i) clusters.push_back({i});
    const auto mean = [&](const std::vector<int>& a, const std::vector<int>& b) {
      double sum = 0;
      for (const int i : a)
        for (const int j : b) sum += matrix.at(i, j);
      return sum / static_cast<double>(a.size() * b.size());
    };
    std::set<int> open;
    for (int i = 0; i < n; ++i) open.insert(i);
    const Dendrogram tree = averageLinkage(matrix);
    ASSERT_EQ(tree.merges.size(), static_cast<std::size_t>(n - 1));
    for (const Dendrogram::Merge& merge : tree.merges) {
      double best = -1;
      for (const int a : open)
        for (const int b : open)
          if (a < b)
            best = std::max(best, mean(clusters[static_cast<std::size_t>(a)], clusters[static_cast<std::size_t>(b)]));
      EXPECT_NEAR(merge.similarity, best, 1e-12);
      ASSERT_EQ(open.erase(merge.left) + open.erase(merge.right), 2U);
      std::vector<int> joined = clusters[static_cast<std::size_t>(merge.left)];
      const auto& right = clusters[static_cast<std::size_t>(merge.right)];
      EXPECT_NEAR(mean(joined, right), best, 1e-12);
      joined.insert(joined.end(), right.begin(), right.end());
      open.insert(static_cast<int>(clusters.size()));
      clusters.push_back(std::move(joined));
    }
  }
}

}  // namespace
}  // namespace kvista
