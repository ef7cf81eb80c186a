// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "allocation_cases.h"
#include "core/plan/plan.h"

namespace kvista {
namespace {

using test::allocate;
using test::randomUnit;
using test::unitOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Least loss over all ranks, by dynamic programming over blocks of `step` directions.
double optimalLoss(const AllocationRequest& request) {
  const int step = request.rankStep;
  std::int64_t blocks = request.budgetBytes / (2 * step);
  double lockedLoss = 0;
  for (const BudgetUnit& unit : request.units)
    if (unit.locked) {
      blocks -= storedBytes(unit.widths) / (2 * step);
      lockedLoss += predictedLoss(unit.spectrum, unit.widths);
    }
  constexpr double kImpossible = std::numeric_limits<double>::infinity();
  std::vector<double> best(static_cast<std::size_t>(blocks) + 1, 0.0);
  for (const BudgetUnit& unit : request.units) {
    if (unit.locked) continue;
    std::vector<double> next(best.size(), kImpossible);
    for (int rank = unit.minimumRank; rank <= unit.maximumRank; rank += step) {
      std::vector<std::uint8_t> widths(unit.spectrum.eigenvalues.size());
      std::fill_n(widths.begin(), rank, std::uint8_t{16});
      const double loss = predictedLoss(unit.spectrum, widths);
      const auto used = static_cast<std::size_t>(rank / step);
      for (std::size_t b = used; b < next.size(); ++b) next[b] = std::min(next[b], best[b - used] + loss);
    }
    best = std::move(next);
  }
  return lockedLoss + best.back();
}

TEST(WaterlineTest, IsOptimalForEqualCosts) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 300; ++trial) {
    AllocationRequest request;
    request.allowedWidths = {0, 16};
    request.rankStep = 1 << (random() % 4);
    std::int64_t least = 0, most = 0;
    const auto units = 1 + random() % 6;
    for (std::size_t u = 0; u < units; ++u) {
      const int blocks = 1 + static_cast<int>(random() % 10);
      BudgetUnit unit = randomUnit(random, blocks * request.rankStep);
      const int low = static_cast<int>(random() % 3), high = blocks - static_cast<int>(random() % 3);
      unit.minimumRank = std::min(low, blocks) * request.rankStep;
      unit.maximumRank = std::max(high * request.rankStep, unit.minimumRank);
      if (random() % 5 == 0) {
        unit.locked = true;
        unit.widths.assign(unit.spectrum.eigenvalues.size(), 0);
        std::fill_n(unit.widths.begin(), unit.minimumRank, std::uint8_t{16});
      }
      least += 2 * unit.minimumRank;
      most += 2 * unit.maximumRank;
      request.units.push_back(std::move(unit));
    }
    request.budgetBytes = least + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most - least + 2));
    const Allocation allocation = allocate("waterline", request);
    EXPECT_LE(allocation.achievedBytes, request.budgetBytes);
    EXPECT_NEAR(allocation.predictedLoss, optimalLoss(request), 1e-9 * (1 + allocation.predictedLoss)) << trial;
  }
}

TEST(WaterlineTest, KeepsExactlyWhatIsAboveTheLine) {
  AllocationRequest request;
  request.units = {unitOf({9, 5, 2, 0.5}), unitOf({7, 6, 0.4, 0.3})};
  request.allowedWidths = {0, 16};
  request.rankStep = 1;
  request.budgetBytes = 5 * 2 + 1;
  const Allocation allocation = allocate("waterline", request);
  EXPECT_THAT(allocation.widths[0], ElementsAre(16, 16, 16, 0));
  EXPECT_THAT(allocation.widths[1], ElementsAre(16, 16, 0, 0));
  EXPECT_EQ(allocation.requestedBytes, 11);
  EXPECT_EQ(allocation.achievedBytes, 10);
  EXPECT_DOUBLE_EQ(allocation.predictedLoss, (0.5 + 0.4 + 0.3) / 2);
  EXPECT_DOUBLE_EQ(allocation.waterline, 0.5);  // The largest that was left out.
  EXPECT_EQ(allocation.note, "");
}

TEST(WaterlineTest, CodedWidthsReachTheLowerHullOfAllAllocations) {
  // Blocks of 8 directions cost their width in bytes: all allocations of a few blocks can be tried.
  std::mt19937 random(2);
  const std::vector<int> widths = {0, 1, 2, 3, 4, 6, 8};
  for (int trial = 0; trial < 20; ++trial) {
    AllocationRequest request;
    request.allowedWidths = widths;
    request.rankStep = 8;
    request.units = {randomUnit(random, 16), randomUnit(random, 24)};
    if (trial % 2 == 1)
      for (BudgetUnit& unit : request.units) test::fitAtRandom(random, unit, widths);
    std::vector<double> optimal(5 * 8 + 1, std::numeric_limits<double>::infinity());
    for (int code = 0; code < 7 * 7 * 7 * 7 * 7; ++code) {
      std::vector<std::uint8_t> all;
      std::size_t bytes = 0;
      for (int block = 0, rest = code; block < 5; ++block, rest /= 7) {
        all.insert(all.end(), 8, static_cast<std::uint8_t>(widths[static_cast<std::size_t>(rest % 7)]));
        bytes += all.back();
      }
      const double loss = predictedLoss(request.units[0].spectrum, {all.begin(), all.begin() + 16}) +
                          predictedLoss(request.units[1].spectrum, {all.begin() + 16, all.end()});
      optimal[bytes] = std::min(optimal[bytes], loss);
    }
    for (std::size_t b = 1; b < optimal.size(); ++b) optimal[b] = std::min(optimal[b], optimal[b - 1]);

    double last = std::numeric_limits<double>::infinity();
    for (std::size_t budget = 0; budget < optimal.size(); ++budget) {
      request.budgetBytes = static_cast<std::int64_t>(budget);
      const Allocation allocation = allocate("waterline", request);
      ASSERT_LE(allocation.achievedBytes, request.budgetBytes);
      ASSERT_GE(allocation.predictedLoss, optimal[budget] * (1 - 1e-9));
      // Between two corners of the hull it may lose what the largest step would have brought.
      ASSERT_LE(allocation.predictedLoss, optimal[budget < 8 ? 0 : budget - 8] * (1 + 1e-9)) << budget;
      ASSERT_LE(allocation.predictedLoss, last * (1 + 1e-9) + 1e-12);
      last = allocation.predictedLoss;
    }
    EXPECT_NEAR(last, optimal.back(), 1e-9 * (1 + last));
  }
}

TEST(WaterlineTest, NothingAboveTheLineIsLeftOut) {
  std::mt19937 random(3);
  for (const int step : {1, 3, 8}) {
    AllocationRequest request;
    request.allowedWidths = {0, 1, 2, 4, 8};
    request.rankStep = step;
    for (int u = 0; u < 6; ++u) request.units.push_back(randomUnit(random, 96));
    request.budgetBytes = 6 * 96 / 4;
    const Allocation allocation = allocate("waterline", request);
    EXPECT_GT(allocation.waterline, 0);
    for (std::size_t u = 0; u < request.units.size(); ++u)
      for (std::size_t i = 0; i < 96; i += static_cast<std::size_t>(step)) {
        const auto next = std::upper_bound(request.allowedWidths.begin(), request.allowedWidths.end(),
                                           static_cast<int>(allocation.widths[u][i]));
        if (next == request.allowedWidths.end()) continue;
        const auto& eigenvalues = request.units[u].spectrum.eigenvalues;
        const double mean = std::accumulate(eigenvalues.begin() + static_cast<std::ptrdiff_t>(i),
                                            eigenvalues.begin() + static_cast<std::ptrdiff_t>(i) + step, 0.0) /
                            step;
        const int width = allocation.widths[u][i];
        const double gain = mean * (gaussianDistortion(width) - gaussianDistortion(*next)) / (*next - width);
        EXPECT_LE(gain, allocation.waterline * (1 + 1e-9));
      }
  }
}

TEST(WaterlineTest, StepsBoundsAndBudgetHoldForAnyRequest) {
  std::mt19937 random(4);
  const std::vector<std::vector<int>> choices = {{0, 16}, {0, 1, 2, 4, 8}, {0, 1, 2, 3, 4, 6, 8}, {0, 4, 16}, {0, 3}};
  for (int trial = 0; trial < 400; ++trial) {
    AllocationRequest request;
    request.allowedWidths = choices[random() % choices.size()];
    request.rankStep = 1 + static_cast<int>(random() % 12);
    std::int64_t numbers = 0;
    std::int64_t least = 0;
    for (std::size_t u = 0; u < 1 + random() % 8; ++u) {
      const int size = 1 + static_cast<int>(random() % 80);
      BudgetUnit unit = randomUnit(random, size);
      if (random() % 2 == 0) test::fitAtRandom(random, unit, request.allowedWidths);
      unit.maximumRank = static_cast<int>(random() % static_cast<unsigned>(size + 1));
      unit.minimumRank = static_cast<int>(random() % static_cast<unsigned>(unit.maximumRank + 1));
      const int stepped =
          std::min((unit.minimumRank + request.rankStep - 1) / request.rankStep * request.rankStep, unit.maximumRank);
      least += storedBytes(std::vector<std::uint8_t>(static_cast<std::size_t>(stepped),
                                                     static_cast<std::uint8_t>(request.allowedWidths[1])));
      numbers += size;
      request.units.push_back(std::move(unit));
    }
    request.budgetBytes = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(2 * numbers + 1));
    const Allocation allocation = allocate("waterline", request);
    EXPECT_LE(allocation.achievedBytes, std::max(request.budgetBytes, least));
    EXPECT_EQ(allocation.achievedBytes > request.budgetBytes, allocation.note.find("alone need") != std::string::npos);
    std::int64_t bytes = 0;
    std::int64_t largestStep = 0;
    bool full = true;
    for (std::size_t u = 0; u < request.units.size(); ++u) {
      const BudgetUnit& unit = request.units[u];
      const auto& widths = allocation.widths[u];
      ASSERT_EQ(widths.size(), unit.spectrum.eigenvalues.size());
      std::map<int, int> counts;
      for (const int width : widths) ++counts[width];
      for (const auto& [width, count] : counts) {
        EXPECT_THAT(request.allowedWidths, ::testing::Contains(width));
        const int cut = unit.maximumRank % request.rankStep;
        if (width != 0) {
          EXPECT_TRUE(count % request.rankStep == 0 || (count - cut) % request.rankStep == 0) << count;
        }
      }
      EXPECT_GE(static_cast<int>(widths.size()) - counts[0], unit.minimumRank);
      EXPECT_THAT(std::vector<std::uint8_t>(widths.begin() + unit.maximumRank, widths.end()), Each(0));
      bytes += storedBytes(widths);
      largestStep = std::max<std::int64_t>(largestStep, request.rankStep * request.allowedWidths.back() / 8 + 2);
      full &= std::all_of(widths.begin(), widths.begin() + unit.maximumRank,
                          [&](int width) { return width == request.allowedWidths.back(); });
    }
    EXPECT_EQ(bytes, allocation.achievedBytes);
    if (!full && allocation.note.empty()) {
      EXPECT_GT(allocation.achievedBytes + largestStep, request.budgetBytes);
    }
  }
}

TEST(WaterlineTest, LockedUnitsStayAndAreCounted) {
  AllocationRequest request;
  request.units = {unitOf({1, 1, 1, 1}), unitOf({9, 8, 7, 6})};
  request.units[0].locked = true;
  request.units[0].widths = {16, 0, 16, 16};
  request.allowedWidths = {0, 16};
  request.rankStep = 1;
  request.budgetBytes = 10;
  Allocation allocation = allocate("waterline", request);
  EXPECT_THAT(allocation.widths[0], ElementsAre(16, 0, 16, 16));
  EXPECT_THAT(allocation.widths[1], ElementsAre(16, 16, 0, 0));
  request.budgetBytes = 3;
  allocation = allocate("waterline", request);
  EXPECT_EQ(allocation.achievedBytes, 6);
  EXPECT_EQ(allocation.note, "Locked groups and smallest ranks alone need 6 bytes a token, 3 were asked for.");
  EXPECT_THAT(allocation.widths[1], Each(0));
}

TEST(WaterlineTest, SpendsNothingOnWhatCarriesNothing) {
  AllocationRequest request;
  request.units = {unitOf({4, 1, 0, -1e-12})};
  request.allowedWidths = {0, 16};
  request.rankStep = 1;
  request.budgetBytes = 100;
  const Allocation allocation = allocate("waterline", request);
  EXPECT_THAT(allocation.widths[0], ElementsAre(16, 16, 0, 0));
  EXPECT_EQ(allocation.predictedLoss, 0);
  EXPECT_EQ(allocation.waterline, 0);
  EXPECT_THAT(allocation.note, HasSubstr("Every direction that carries anything"));
}

TEST(WaterlineTest, UsesFittedDistortions) {
  // Coding makes the second direction worse, so its bits go to the first.
  AllocationRequest request;
  request.units = {unitOf({4, 4})};
  request.units[0].spectrum.widths = {0, 2, 4};
  request.units[0].spectrum.distortion = {1, 0.1F, 0.01F, 1, 1.5F, 1.1F};
  request.allowedWidths = {0, 2, 4};
  request.rankStep = 1;
  request.budgetBytes = 1;
  EXPECT_THAT(allocate("waterline", request).widths[0], ElementsAre(4, 0));
}

TEST(WaterlineTest, PredictedLossOfGaussianWidths) {
  AllocationRequest request;
  request.units = {unitOf(std::vector<double>(16, 3.0))};
  request.allowedWidths = {0, 1, 2, 4, 8};
  request.rankStep = 8;
  for (const int bits : {0, 1, 2, 4, 8}) {
    request.budgetBytes = 2 * bits;
    EXPECT_NEAR(allocate("waterline", request).predictedLoss, 8 * 3 * gaussianDistortion(bits), 1e-9) << bits;
  }
}

TEST(WaterlineTest, EmptyRequestIsAnEmptyAllocation) {
  AllocationRequest request;
  request.allowedWidths = {0, 16};
  const Allocation allocation = allocate("waterline", request);
  EXPECT_TRUE(allocation.widths.empty());
  EXPECT_EQ(allocation.achievedBytes, 0);
}

}  // namespace
}  // namespace kvista
