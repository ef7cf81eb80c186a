// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/head_mean.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "allocation_cases.h"

namespace kvista {
namespace {

using test::allocate;
using test::randomUnit;
using ::testing::HasSubstr;

int rankOf(const std::vector<std::uint8_t>& widths) {
  return static_cast<int>(widths.size()) - static_cast<int>(std::count(widths.begin(), widths.end(), 0));
}

AllocationRequest randomRequest(std::mt19937& random, std::vector<int> widths, std::initializer_list<int> sizes) {
  AllocationRequest request;
  request.allowedWidths = std::move(widths);
  for (const int size : sizes) request.units.push_back(randomUnit(random, size));
  return request;
}

TEST(HeadMeanTest, HeadsOfALayerGetTheSmallestRankThatLosesNoMoreThanAllOthers) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 50; ++trial) {
    AllocationRequest request = randomRequest(random, {0, 16}, {24, 24, 24, 24, 24, 24});
    for (std::size_t i = 0; i < request.units.size(); ++i) request.units[i].layer = static_cast<int>(i / 2);
    request.rankStep = 4;
    request.budgetBytes = 2 * 4 * static_cast<std::int64_t>(4 + random() % 24);
    const Allocation allocation = allocate("head-mean", request);
    std::vector<int> ranks;
    for (const auto& widths : allocation.widths) ranks.push_back(rankOf(widths));
    EXPECT_LE(allocation.achievedBytes, request.budgetBytes);
    const auto meanTail = [&](std::size_t layer, int rank) {
      double mean = 0;
      for (const std::size_t unit : {2 * layer, 2 * layer + 1}) {
        const auto& values = request.units[unit].spectrum.eigenvalues;
        double whole = 0, tail = 0;
        for (std::size_t i = 0; i < values.size(); ++i) (static_cast<int>(i) < rank ? whole : tail) += values[i];
        mean += tail / (whole + tail) / 2;
      }
      return mean;
    };
    double level = 0;
    for (std::size_t layer = 0; layer < 3; ++layer) {
      EXPECT_EQ(ranks[2 * layer], ranks[2 * layer + 1]);
      level = std::max(level, meanTail(layer, ranks[2 * layer]));
    }
    // No step that still fits would go to the layer that loses most.
    std::size_t worst = 0;
    for (std::size_t layer = 1; layer < 3; ++layer)
      if (meanTail(layer, ranks[2 * layer]) > meanTail(worst, ranks[2 * worst])) worst = layer;
    EXPECT_TRUE(ranks[2 * worst] == 24 || request.budgetBytes - allocation.achievedBytes < 2 * 4 * 2);
    // A layer above what the level needs got its last step only after all others were no better off.
    for (std::size_t layer = 0; layer < 3; ++layer)
      if (ranks[2 * layer] > 0 && request.budgetBytes - allocation.achievedBytes < 2 * 4 * 2) {
        EXPECT_GE(meanTail(layer, ranks[2 * layer] - 4), level - 1e-12);
      }
  }
  AllocationRequest coded = randomRequest(random, {0, 1, 2, 4, 8}, {8});
  coded.budgetBytes = 4;
  EXPECT_THAT(findAllocator("head-mean").value()->allocate(coded).error().message, HasSubstr("hands out ranks"));
}

TEST(HeadMeanTest, AnEpsLeadsToTheSmallestRanksThatLoseNoMore) {
  std::mt19937 random(9);
  for (const double eps : {0.05, 0.2, 0.4, 0.7}) {
    AllocationRequest request = randomRequest(random, {0, 16}, {24, 24, 24, 24, 24, 24});
    for (std::size_t i = 0; i < request.units.size(); ++i) request.units[i].layer = static_cast<int>(i / 2);
    request.rankStep = 4;
    request.budgetBytes = bytesForEps(request, eps).value();
    const Allocation allocation = allocate("head-mean", request);
    EXPECT_EQ(allocation.achievedBytes, request.budgetBytes);
    CompressionPlan plan;
    for (const auto& widths : allocation.widths) plan.groups.push_back({{}, widths});
    EXPECT_LE(*reachedEps(plan, request.units), eps * (1 + 1e-9));
    // One step less in any layer would lose more.
    for (std::size_t layer = 0; layer < 3; ++layer) {
      CompressionPlan less = plan;
      for (const std::size_t i : {2 * layer, 2 * layer + 1}) {
        auto& widths = less.groups[i].widths;
        const int rank = rankOf(widths);
        ASSERT_GE(rank, 4);
        std::fill(widths.begin() + rank - 4, widths.end(), std::uint8_t{0});
      }
      EXPECT_GT(*reachedEps(less, request.units), eps);
    }
    for (Group& group : plan.groups) group.locked = true;
    EXPECT_EQ(reachedEps(plan, request.units), std::nullopt);
  }
  AllocationRequest request = randomRequest(random, {0, 16}, {8});
  for (const double eps : {0.0, 1.0, -1.0})
    EXPECT_THAT(bytesForEps(request, eps).error().message, HasSubstr("must be above 0 and below 1"));
}

}  // namespace
}  // namespace kvista
