// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/cost.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/plan/plan_groups.h"

namespace kvista {
namespace {

ModelShape shapeOf(int layers, int queryHeads, int kvHeads, int headDim, int hiddenSize) {
  ModelShape shape;
  shape.layers = layers;
  shape.queryHeads = queryHeads;
  shape.kvHeads = kvHeads;
  shape.headDim = shape.valueHeadDim = headDim;
  shape.hiddenSize = hiddenSize;
  return shape;
}

HeadGroups groupsOfSize(int heads, int size) {
  HeadGroups groups;
  for (int head = 0; head < heads; ++head) {
    if (head % size == 0) groups.emplace_back();
    groups.back().push_back(head);
  }
  return groups;
}

/// Joint groups of `size` heads, of which `rank` directions stay as 16-bit numbers.
CompressionPlan jointPlan(const ModelShape& shape, int size, int rank) {
  CompressionPlan plan;
  plan.storage = Storage::lowRank16;
  for (int layer = 0; layer < shape.layers; ++layer)
    for (Group& group : joinKeysAndValues(shape, layer, groupsOfSize(shape.kvHeads, size))) {
      std::fill(group.widths.begin() + rank, group.widths.end(), std::uint8_t{0});
      plan.groups.push_back(std::move(group));
    }
  return plan;
}

const DeviceProfile& h200() { return *findDeviceProfile("h200").value(); }

TEST(CostTest, ProfileReproducesMeasuredAttention) {
  // One layer of a 7B shape, scaled dot product attention over the full cache.
  const ModelShape layer = shapeOf(1, 32, 32, 128, 4096);
  const auto seconds = [&](std::int64_t context, int batch) {
    return costOf(CompressionPlan{}, layer, h200(), context, batch).fullSecondsPerToken;
  };
  EXPECT_NEAR(seconds(65536, 8) / 1854e-6, 1, 0.15);
  EXPECT_NEAR(seconds(16384, 1) / 73e-6, 1, 0.15);
  EXPECT_NEAR(seconds(4096, 1) / 27e-6, 1, 0.15);
}

TEST(CostTest, UnknownProfileNamesTheKnownOnes) {
  const auto profile = findDeviceProfile("abacus");
  ASSERT_FALSE(profile);
  EXPECT_EQ(profile.error().message, "There is no device profile 'abacus'.");
  EXPECT_EQ(profile.error().hint, "Known profiles: h200.");
}

TEST(CostTest, UncompressedPlanCostsWhatTheFullCacheCosts) {
  const ModelShape shape = shapeOf(3, 32, 8, 128, 4096);
  CompressionPlan plan;
  plan.groups = singleSlots(shape);
  const CostModel cost = costOf(plan, shape, h200(), 8192, 2);
  EXPECT_EQ(cost.bytesPerToken, shape.cacheBytesPerToken());
  EXPECT_EQ(cost.extraParameters, 0);
  EXPECT_DOUBLE_EQ(cost.multiplyAddsPerCachedToken, 3 * 32 * 256);
  EXPECT_DOUBLE_EQ(cost.secondsPerToken, cost.fullSecondsPerToken);
}

TEST(CostTest, JointLatentRebuildsKeysAndSumsValues) {
  const ModelShape shape = shapeOf(2, 32, 8, 128, 4096);
  const CompressionPlan plan = jointPlan(shape, 8, 614);
  const CostModel cost = costOf(plan, shape, h200(), 16384, 1);
  // Rebuild 614 x 1024, scores 32 x 128, values 32 x 614, in each layer.
  EXPECT_DOUBLE_EQ(cost.multiplyAddsPerCachedToken, 2 * (614.0 * 1024 + 32 * 128 + 32 * 614));
  EXPECT_EQ(cost.bytesPerToken, 2 * 614 * 2);
  // Down [614, 4096] and up [2048, 614] in place of [2048, 4096].
  EXPECT_EQ(cost.extraParameters, 2 * (614LL * (4096 + 2048) - 2048LL * 4096));
}

TEST(CostTest, CodesOfTwoPartsAreMultipliedTwice) {
  const ModelShape shape = shapeOf(2, 32, 8, 128, 4096);
  CompressionPlan plan = jointPlan(shape, 8, 614);
  plan.storage = Storage::coded;
  for (Group& group : plan.groups) std::fill_n(group.widths.begin(), 100, std::uint8_t{6});
  const CostModel cost = costOf(plan, shape, h200(), 16384, 1);
  EXPECT_DOUBLE_EQ(cost.multiplyAddsPerCachedToken, 2 * (714.0 * 1024 + 32 * 128 + 32 * 714));
  EXPECT_EQ(cost.bytesPerToken, 2 * (514 * 2 + 50 + 25));
}

TEST(CostTest, AChainRebuildsWhatPredictsAndTurnsIt) {
  const ModelShape shape = shapeOf(3, 32, 8, 128, 4096);
  CompressionPlan plan = jointPlan(shape, 8, 614);
  plan.storage = Storage::coded;
  plan.exactTokens = 4;
  const CostModel alone = costOf(plan, shape, h200(), 16384, 1);
  plan.chain = 3;
  const CostModel chained = costOf(plan, shape, h200(), 16384, 1);
  // Values [614, 1024] rebuilt in three layers, predictions [2048, 2048] in two.
  EXPECT_DOUBLE_EQ(chained.multiplyAddsPerCachedToken - alone.multiplyAddsPerCachedToken,
                   3 * 614.0 * 1024 + 2 * 2048.0 * 2048);
  EXPECT_EQ(chained.extraParameters - alone.extraParameters, 2 * 2048LL * 2048);
  EXPECT_EQ(chained.bytesPerToken, alone.bytesPerToken) << "what is rebuilt is not kept";
  EXPECT_GT(chained.secondsPerToken, alone.secondsPerToken);
}

TEST(CostTest, NumbersOfTokensAreEmbeddedAndProjectedAnew) {
  const ModelShape shape = shapeOf(3, 32, 8, 128, 4096);
  CompressionPlan plan = jointPlan(shape, 8, 614);
  plan.storage = Storage::coded;
  plan.exactTokens = 4;
  std::ranges::fill(plan.groups.front().widths, std::uint8_t{0});
  const CostModel without = costOf(plan, shape, h200(), 16384, 1);
  plan.tokenNumbers = true;
  const CostModel cost = costOf(plan, shape, h200(), 16384, 1);
  // Outputs [2048] of the first layer of a hidden state [4096], which predict two layers; these rebuild their values
  // [614, 1024].
  EXPECT_DOUBLE_EQ(cost.multiplyAddsPerCachedToken - without.multiplyAddsPerCachedToken,
                   4096.0 * 2048 + 2 * (2048.0 * 2048 + 614.0 * 1024));
  EXPECT_EQ(cost.extraParameters - without.extraParameters, 2 * 2048LL * 2048);
  EXPECT_EQ(cost.bytesPerToken - without.bytesPerToken, 4);
}

TEST(CostTest, KeysAfterRopeNeedNoRebuilding) {
  const ModelShape shape = shapeOf(1, 32, 8, 128, 4096);
  CompressionPlan plan;
  plan.keyPosition = KeyPosition::afterRope;
  plan.groups = groupsOf(shape, 0, groupsOfSize(8, 1), groupsOfSize(8, 1));
  for (Group& group : plan.groups) {
    std::fill(group.widths.begin(), group.widths.end(), std::uint8_t{0});
    std::fill_n(group.widths.begin(), 48, std::uint8_t{4});
  }
  const CostModel cost = costOf(plan, shape, h200(), 16384, 1);
  EXPECT_DOUBLE_EQ(cost.multiplyAddsPerCachedToken, 32 * 48 + 32 * 48);
  EXPECT_EQ(cost.bytesPerToken, 16 * 24);
  EXPECT_LT(cost.secondsPerToken, cost.fullSecondsPerToken);
  EXPECT_TRUE(affordable(plan, shape, h200()));
}

TEST(CostTest, ExactTokensKeepTheProjections) {
  const ModelShape shape = shapeOf(2, 32, 8, 128, 4096);
  CompressionPlan plan = jointPlan(shape, 8, 614);
  plan.exactTokens = 4;
  // Down [614, 2048] and up [2048, 614] beside the projections.
  EXPECT_EQ(costOf(plan, shape, h200(), 16384, 1).extraParameters, 2 * 2 * 614LL * 2048);
  plan.centred = true;
  EXPECT_EQ(costOf(plan, shape, h200(), 16384, 1).extraParameters, 2 * (2 * 614LL * 2048 + 614 + 2048));
  plan.storage = Storage::coded;
  for (Group& group : plan.groups) std::ranges::replace(group.widths, std::uint8_t{16}, std::uint8_t{4});
  EXPECT_EQ(costOf(plan, shape, h200(), 16384, 1).extraParameters, 2 * (2 * 614LL * 2048 + 2 * 614 + 2048))
      << "a step each";
}

TEST(CostTest, TheLongerOfReadingAndArithmeticCounts) {
  const ModelShape shape = shapeOf(1, 32, 32, 128, 4096);
  const DeviceProfile device{"test", 1e12, 1e14, 1e-5};
  const CompressionPlan plan = jointPlan(shape, 4, 307);
  const CostModel cost = costOf(plan, shape, device, 1000, 3);
  EXPECT_DOUBLE_EQ(cost.arithmeticSecondsPerToken, 2 * cost.multiplyAddsPerCachedToken * 3000 / 1e14);
  EXPECT_DOUBLE_EQ(cost.secondsPerToken, 1e-5 + cost.arithmeticSecondsPerToken);
  const DeviceProfile fast{"test", 1e12, 1e20, 1e-5};
  EXPECT_DOUBLE_EQ(costOf(plan, shape, fast, 1000, 3).secondsPerToken, 1e-5 + 3000.0 * cost.bytesPerToken / 1e12);
}

TEST(CostTest, ASharedLatentIsStoredOnceAndReadByEachLayer) {
  const ModelShape shape = shapeOf(2, 4, 4, 32, 128);
  CompressionPlan plan;
  Group& group = plan.groups.emplace_back();
  for (const Group& single : singleSlots(shape)) group.slots.push_back(single.slots.front());
  group.widths.assign(2 * 256, 0);
  std::fill_n(group.widths.begin(), 100, std::uint8_t{16});
  const DeviceProfile device{"test", 1, 1e30, 0};
  const CostModel cost = costOf(plan, shape, device, 1, 1);
  EXPECT_EQ(cost.bytesPerToken, 200);
  EXPECT_DOUBLE_EQ(cost.secondsPerToken, 400);
}

TEST(AffordableTest, WideGroupsSuitFewKvHeadsOnly) {
  const ModelShape grouped = shapeOf(32, 32, 8, 128, 4096);
  EXPECT_TRUE(affordable(jointPlan(grouped, 8, 614), grouped, h200()));

  const ModelShape multiHead = shapeOf(32, 32, 32, 128, 4096);
  const CompressionPlan all = jointPlan(multiHead, 32, 2457);
  EXPECT_NEAR(costOf(all, multiHead, h200(), 16384, 1).multiplyAddsPerCachedToken / 32, 10e6, 0.5e6);
  EXPECT_FALSE(affordable(all, multiHead, h200()));
  EXPECT_TRUE(affordable(jointPlan(multiHead, 4, 307), multiHead, h200()));
}

}  // namespace
}  // namespace kvista
