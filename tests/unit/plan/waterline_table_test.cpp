// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/waterline_table.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "allocation_cases.h"
#include "core/plan/plan.h"

namespace kvista {
namespace {

using test::allocate;
using test::fitAtRandom;
using test::randomUnit;
using test::unitOf;

using Widths = std::vector<std::vector<std::uint8_t>>;

WaterlineTable tableOf(const AllocationRequest& request) {
  auto table = WaterlineTable::make(request);
  EXPECT_TRUE(table) << table.error().message;
  return table.value_or(WaterlineTable{});
}

Widths widthsAt(const WaterlineTable& table, double level) {
  Widths widths;
  table.widthsAt(level, widths);
  return widths;
}

std::int64_t bytesOf(const Widths& widths) {
  std::int64_t bytes = 0;
  for (const auto& each : widths) bytes += storedBytes(each);
  return bytes;
}

double lossOf(const AllocationRequest& request, const Widths& widths) {
  double loss = 0;
  for (std::size_t i = 0; i < widths.size(); ++i) loss += predictedLoss(request.units[i].spectrum, widths[i]);
  return loss;
}

/// Units of every kind: some locked, some with bounds, some with fitted distortions. With `wholeBytes` no run of codes
/// is padded.
AllocationRequest randomRequest(std::mt19937& random, bool wholeBytes) {
  AllocationRequest request;
  const std::vector<std::vector<int>> allowed = {{0, 16}, {0, 4}, {0, 1, 2, 3, 4, 6, 8}, {0, 2, 3, 4, 8}};
  request.allowedWidths = allowed[random() % allowed.size()];
  request.rankStep = wholeBytes ? 8 << (random() % 2) : 1 + static_cast<int>(random() % 5);
  const auto units = 1 + random() % 5;
  for (std::size_t u = 0; u < units; ++u) {
    const int size = static_cast<int>(wholeBytes ? request.rankStep * (1 + random() % 12) : 1 + random() % 90);
    BudgetUnit unit = randomUnit(random, size);
    if (random() % 2 == 0) fitAtRandom(random, unit, request.allowedWidths);
    if (random() % 3 == 0) unit.minimumRank = static_cast<int>(random() % 3) * request.rankStep;
    unit.minimumRank = std::min(unit.minimumRank, size);
    if (random() % 4 == 0) {
      unit.locked = true;
      unit.widths.assign(static_cast<std::size_t>(size), 0);
      std::fill_n(unit.widths.begin(), static_cast<std::ptrdiff_t>(random() % static_cast<unsigned>(size)),
                  std::uint8_t{8});
    }
    request.units.push_back(std::move(unit));
  }
  return request;
}

/// Levels below, at, between and above everything that happens.
std::vector<double> someLevels(std::mt19937& random, const WaterlineTable& table) {
  std::vector<double> levels = {0, table.lowestLevel(), table.highestLevel(), 2 * table.highestLevel()};
  const double low = std::log(std::max(table.lowestLevel(), 1e-12)),
               high = std::log(std::max(table.highestLevel(), 1e-12));
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int i = 0; i < 8; ++i) levels.push_back(std::exp(low + (high - low) * uniform(random)));
  return levels;
}

TEST(WaterlineTableTest, BytesAndLossAreThoseOfTheWidths) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    const AllocationRequest request = randomRequest(random, trial % 2 == 0);
    const WaterlineTable table = tableOf(request);
    for (const double level : someLevels(random, table)) {
      const Widths widths = widthsAt(table, level);
      EXPECT_EQ(table.bytesAt(level), bytesOf(widths));
      const double loss = lossOf(request, widths);
      EXPECT_NEAR(table.predictedLossAt(level), loss, 1e-12 + 1e-9 * loss);
      for (std::size_t u = 0; u < widths.size(); ++u)
        if (request.units[u].locked) {
          EXPECT_EQ(widths[u], request.units[u].widths);
        }
    }
  }
}

TEST(WaterlineTableTest, GivesWhatTheAllocatorGivesForThoseBytes) {
  std::mt19937 random(2);
  for (int trial = 0; trial < 200; ++trial) {
    AllocationRequest request = randomRequest(random, true);
    const WaterlineTable table = tableOf(request);
    for (const double level : someLevels(random, table)) {
      request.budgetBytes = table.bytesAt(level);
      EXPECT_EQ(allocate("waterline", request).widths, widthsAt(table, level)) << trial << " at " << level;
    }
  }
}

TEST(WaterlineTableTest, LineOfABudgetIsTheAllocators) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 200; ++trial) {
    AllocationRequest request = randomRequest(random, true);
    const WaterlineTable table = tableOf(request);
    const std::int64_t least = table.bytesAt(table.highestLevel()), most = table.bytesAt(0);
    request.budgetBytes = least + static_cast<std::int64_t>(random() % static_cast<unsigned>(most - least + 10));
    const double level = table.levelForBytes(request.budgetBytes);
    EXPECT_DOUBLE_EQ(level, allocate("waterline", request).waterline) << trial;
  }
}

TEST(WaterlineTableTest, BudgetIsKeptAndUsed) {
  std::mt19937 random(4);
  for (int trial = 0; trial < 300; ++trial) {
    const AllocationRequest request = randomRequest(random, false);
    const WaterlineTable table = tableOf(request);
    const std::int64_t least = table.bytesAt(table.highestLevel()), most = table.bytesAt(0);
    const std::int64_t budget = static_cast<std::int64_t>(random() % static_cast<unsigned>(most + 10));
    const double level = table.levelForBytes(budget);
    if (budget < least) {
      EXPECT_EQ(level, table.highestLevel());
      continue;
    }
    EXPECT_LE(table.bytesAt(level), budget);
    // No lower level keeps it.
    for (const double other : someLevels(random, table)) {
      if (other < level) {
        EXPECT_GT(table.bytesAt(other), budget) << other << " below " << level;
      }
    }
    if (budget >= most) {
      EXPECT_EQ(level, 0);
    }
  }
}

TEST(WaterlineTableTest, LossIsKeptByTheHighestLevelThatDoes) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 200; ++trial) {
    const AllocationRequest request = randomRequest(random, false);
    const WaterlineTable table = tableOf(request);
    const double least = table.predictedLossAt(0), most = table.predictedLossAt(table.highestLevel());
    EXPECT_EQ(table.levelForLoss(2 * most + 1), table.highestLevel());
    const double allowed = least + (most - least) * 0.1;
    const double level = table.levelForLoss(allowed);
    EXPECT_LE(table.predictedLossAt(level), allowed);
    for (const double other : someLevels(random, table)) {
      if (other > level && table.predictedLossAt(other) != table.predictedLossAt(level)) {
        EXPECT_GT(table.predictedLossAt(other), allowed) << other << " above " << level;
      }
    }
  }
}

TEST(WaterlineTableTest, RanksAreCountedByEigenvaluesAboveTheLine) {
  AllocationRequest request;
  request.units = {unitOf({8, 4, 2, 1}), unitOf({6, 3, 0.5})};
  request.allowedWidths = {0, 16};
  request.rankStep = 1;
  const WaterlineTable table = tableOf(request);
  EXPECT_EQ(widthsAt(table, 2.5), (Widths{{16, 16, 0, 0}, {16, 16, 0}}));
  EXPECT_EQ(widthsAt(table, 2), (Widths{{16, 16, 0, 0}, {16, 16, 0}})) << "what lies at the line is under water";
  EXPECT_DOUBLE_EQ(table.highestLevel(), 8);
  EXPECT_DOUBLE_EQ(table.lowestLevel(), 0.5);
  EXPECT_EQ(table.bytesAt(2.5), 8);
  EXPECT_DOUBLE_EQ(table.levelForBytes(8), 2);
  EXPECT_NEAR(table.predictedLossAt(2.5), (2 + 1 + 0.5) / 2, 1e-12);
  EXPECT_DOUBLE_EQ(table.levelForLoss(1.75 + 1e-9), 2);
}

TEST(WaterlineTableTest, WhatHasNoSpectraHasNoWater) {
  const WaterlineTable nothing;
  EXPECT_EQ(nothing.bytesAt(1), 0);
  EXPECT_EQ(nothing.levelForBytes(100), 0);
  EXPECT_EQ(nothing.predictedLossAt(0), 0);
  AllocationRequest wrong;
  wrong.units = {unitOf({1, NAN})};
  wrong.allowedWidths = {0, 16};
  EXPECT_FALSE(WaterlineTable::make(wrong));
}

TEST(WaterlineTableTest, PlanAtALevelIsAssessedAsAnyOther) {
  ModelShape shape{"llama", 1, 4, 4, 16, 16, 64, 100, 1000};
  CompressionPlan plan;
  plan.storage = Storage::coded;
  AllocationRequest request;
  request.allowedWidths = standardWidths(plan.storage);
  std::mt19937 random(6);
  for (const Side side : {Side::key, Side::value}) {
    Group group;
    for (int head = 0; head < 4; ++head) group.slots.push_back({0, side, head});
    group.widths.assign(64, 0);
    plan.groups.push_back(group);
    request.units.push_back(randomUnit(random, 64));
  }
  PlanningContext context;
  context.shape = shape;
  context.loss.baseLoss = 3;
  context.loss.gradients = true;
  context.device = deviceProfiles().front();
  const WaterlineTable table = tableOf(request);
  const double level = table.levelForBytes(40);
  const PlannedPlan planned = planAt(table, level, plan, context);
  const PlannedPlan same = assess(planned.plan, request.units, context);
  EXPECT_EQ(planned.achievedBytes, table.bytesAt(level));
  EXPECT_EQ(planned.achievedBytes, same.achievedBytes);
  EXPECT_NEAR(planned.predictedLoss.value(), same.predictedLoss.value(), 1e-9);
  EXPECT_EQ(planned.waterline, level);
  context.loss.gradients = false;
  EXPECT_FALSE(planAt(table, level, plan, context).predictedLoss);
}

}  // namespace
}  // namespace kvista
