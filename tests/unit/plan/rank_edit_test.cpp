// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/rank_edit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "allocation_cases.h"
#include "core/plan/waterline_table.h"

namespace kvista {
namespace {

using test::fitAtRandom;
using test::randomUnit;
using test::unitOf;
using Widths = std::vector<std::uint8_t>;

int rankOf(const Widths& widths) {
  return static_cast<int>(widths.size()) - static_cast<int>(std::count(widths.begin(), widths.end(), 0));
}

TEST(RankEditTest, SixteenBitRanksAreTheFirstDirections) {
  const Spectrum spectrum = unitOf({8, 4, 2, 1}).spectrum;
  EXPECT_EQ(widthsForRank(spectrum, {0, 16}, 3), (Widths{16, 16, 16, 0}));
  EXPECT_EQ(widthsForRank(spectrum, {0, 16}, 0), (Widths{0, 0, 0, 0}));
  EXPECT_EQ(widthsForRank(spectrum, {0, 16}, 99), (Widths{16, 16, 16, 16}));
  EXPECT_EQ(widthsForRank(spectrum, {0, 16}, -1), (Widths{0, 0, 0, 0}));
}

TEST(RankEditTest, CodedBandsEndWhereTheNextBitIsWorthLessThanTheNextDirection) {
  // Eigenvalues e^-i. A direction k places above the first dropped one has its second bit if
  // e^k (D1 - D2) > 1 - D1, its third and fourth if e^k (D2 - D4) / 2 > 1 - D1, eight if e^k (D4 - D8) / 4 > 1 - D1.
  Spectrum spectrum;
  for (int i = 0; i < 20; ++i) spectrum.eigenvalues.push_back(std::exp(-i));
  const double first = 1 - gaussianDistortion(1);
  const auto placesFor = [&](double saved) { return static_cast<int>(std::floor(std::log(first / saved))) + 1; };
  const int two = placesFor(gaussianDistortion(1) - gaussianDistortion(2));
  const int four = placesFor((gaussianDistortion(2) - gaussianDistortion(4)) / 2);
  const int eight = placesFor((gaussianDistortion(4) - gaussianDistortion(8)) / 4);
  constexpr int kRank = 12;
  const Widths widths = widthsForRank(spectrum, {0, 1, 2, 4, 8}, kRank);
  for (int i = 0; i < 20; ++i) {
    const int k = kRank - i;
    const int expected = k <= 0 ? 0 : k >= eight ? 8 : k >= four ? 4 : k >= two ? 2 : 1;
    EXPECT_EQ(widths[static_cast<std::size_t>(i)], expected) << i;
  }
}

TEST(RankEditTest, RankIsExactWhateverTheSpectrum) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 100; ++trial) {
    BudgetUnit unit = randomUnit(random, 40);
    if (trial % 2 == 0) fitAtRandom(random, unit, {0, 1, 2, 4, 8});
    if (trial % 3 == 0) std::fill(unit.spectrum.eigenvalues.begin() + 10, unit.spectrum.eigenvalues.end(), 0.0);
    if (trial % 5 == 0) std::fill(unit.spectrum.eigenvalues.begin(), unit.spectrum.eigenvalues.begin() + 8, 1.0);
    for (const int rank : {0, 1, 7, 20, 39, 40})
      EXPECT_EQ(rankOf(widthsForRank(unit.spectrum, {0, 1, 2, 4, 8}, rank)), rank);
  }
}

TEST(RankEditTest, ARankThatTheWaterlineGaveBringsItsWidthsBack) {
  std::mt19937 random(2);
  for (int trial = 0; trial < 100; ++trial) {
    AllocationRequest request;
    request.units = {randomUnit(random, 60)};
    if (trial % 2 == 0) fitAtRandom(random, request.units[0], {0, 1, 2, 4, 8});
    request.allowedWidths = {0, 1, 2, 4, 8};
    request.rankStep = 1;
    const WaterlineTable table = WaterlineTable::make(request).value();
    // At the level of its strongest dropped direction's first bit the water leaves exactly this rank.
    const auto& spectrum = request.units[0].spectrum;
    const int rank = 1 + static_cast<int>(random() % 58);
    const Widths widths = widthsForRank(spectrum, request.allowedWidths, rank);
    double level = 0;
    for (std::size_t i = 0; i < widths.size(); ++i)
      if (widths[i] == 0)
        for (const int bits : {1, 2, 4, 8})
          level = std::max(level, spectrum.eigenvalues[i] * (1 - spectrum.distortionAt(i, bits)) / bits);
    std::vector<Widths> water;
    table.widthsAt(level * (1 + 1e-12), water);
    EXPECT_EQ(water[0], widths) << trial;
  }
}

}  // namespace
}  // namespace kvista
