// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "core/plan/plan_groups.h"

namespace kvista {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ModelShape smallShape() {
  ModelShape shape;
  shape.family = "llama";
  shape.layers = 2;
  shape.queryHeads = 8;
  shape.kvHeads = 4;
  shape.headDim = 64;
  shape.valueHeadDim = 64;
  shape.hiddenSize = 512;
  return shape;
}

/// Neighbouring pairs, keys and values apart, everything still 16 bit.
CompressionPlan pairsPlan(const ModelShape& shape) {
  CompressionPlan plan;
  plan.method = "grouped";
  plan.grouping = "neighbours";
  plan.allocator = "waterline";
  const HeadGroups pairs = {{0, 1}, {2, 3}};
  for (int layer = 0; layer < shape.layers; ++layer)
    for (Group& group : groupsOf(shape, layer, pairs, pairs)) plan.groups.push_back(std::move(group));
  return plan;
}

CompressionPlan plainPlan(const ModelShape& shape, std::uint8_t bits) {
  CompressionPlan plan;
  plan.method = "plain";
  plan.storage = Storage::plainQuantised;
  plan.groups = singleSlots(shape);
  for (Group& group : plan.groups) std::fill(group.widths.begin(), group.widths.end(), bits);
  return plan;
}

TEST(PlanBytesTest, EveryWidthHasItsOwnRunOfWholeBytes) {
  using Widths = std::vector<std::uint8_t>;
  EXPECT_EQ(storedBytes(Widths{}), 0);
  EXPECT_EQ(storedBytes(Widths{0, 0, 0}), 0);
  EXPECT_EQ(storedBytes(Widths{16, 16, 16}), 6);
  EXPECT_EQ(storedBytes(Widths{1}), 1);
  EXPECT_EQ(storedBytes(Widths(8, 1)), 1);
  EXPECT_EQ(storedBytes(Widths(9, 1)), 2);
  EXPECT_EQ(storedBytes(Widths{8, 4, 2, 1, 0}), 4);      // Four runs, three of them padded.
  EXPECT_EQ(storedBytes(Widths{4, 2, 4, 2, 4}), 2 + 1);  // Sorted by width: 12 bits and 4 bits.
  EXPECT_EQ(storedBytes(Widths{16, 8, 4, 4, 1}), 2 + 1 + 1 + 1);
  EXPECT_EQ(storedBytes(Widths{6, 6, 4, 3, 2, 1}), 2 + 1 + 1);  // 3 parts of 4 bits, 4 of 2, 2 of 1
  EXPECT_EQ(storedBytes(Widths(8, 3)), 2 + 1);
  EXPECT_EQ(storedBytes(Widths{6}), 1 + 1);
}

TEST(PlanBytesTest, UncompressedPlanIsTheWholeCache) {
  const ModelShape shape = smallShape();
  const CompressionPlan plan = pairsPlan(shape);
  EXPECT_EQ(bytesPerToken(plan), shape.cacheBytesPerToken());
  EXPECT_EQ(shape.cacheBytesPerToken(), 2 * 2 * (4 * 64 * 2));
  EXPECT_DOUBLE_EQ(share(plan, shape), 1.0);
  EXPECT_DOUBLE_EQ(keptFraction(plan, shape), 1.0);
}

TEST(PlanBytesTest, RanksAndBitsCountApart) {
  const ModelShape shape = smallShape();
  CompressionPlan plan = pairsPlan(shape);
  for (Group& group : plan.groups) {
    std::fill(group.widths.begin(), group.widths.end(), std::uint8_t{0});
    std::fill_n(group.widths.begin(), 32, std::uint8_t{4});
    EXPECT_EQ(group.rank(), 32);
    EXPECT_FALSE(group.isUncompressed());
  }
  EXPECT_DOUBLE_EQ(keptFraction(plan, shape), 0.25);
  EXPECT_DOUBLE_EQ(share(plan, shape), 0.0625);
}

TEST(PlanBytesTest, AValueHeadMayBeNarrowerThanAKeyHead) {
  ModelShape shape = smallShape();
  shape.valueHeadDim = 32;
  const auto groups = singleSlots(shape);
  EXPECT_EQ(groups.front().widths.size(), 64u);
  EXPECT_EQ(groups.back().widths.size(), 32u);
  CompressionPlan plan;
  plan.groups = groups;
  EXPECT_DOUBLE_EQ(share(plan, shape), 1.0);
  EXPECT_THAT(validate(plan, shape), IsEmpty());
}

TEST(PlanBytesTest, PlainQuantisationPaysForScalesAndZeros) {
  // Keys b + 32/64 bits a number, values b + 32/64: for heads of 64 both are the same.
  const ModelShape shape = smallShape();
  EXPECT_DOUBLE_EQ(share(plainPlan(shape, 4), shape), 4.5 / 16);
  EXPECT_DOUBLE_EQ(share(plainPlan(shape, 8), shape), 8.5 / 16);
  EXPECT_DOUBLE_EQ(share(plainPlan(shape, 3), shape), 3.5 / 16);
  EXPECT_DOUBLE_EQ(share(plainPlan(shape, 2), shape), 2.5 / 16);
  EXPECT_DOUBLE_EQ(share(plainPlan(shape, 16), shape), 1.0);

  CompressionPlan shortBlocks = plainPlan(shape, 4);
  shortBlocks.scaleBlock = 32;  // Keys pay twice, values as before.
  EXPECT_DOUBLE_EQ(share(shortBlocks, shape), (5.0 + 4.5) / 2 / 16);
}

TEST(PlanGroupsTest, SlotsAndWidthsFollowTheHeads) {
  const ModelShape shape = smallShape();
  const auto apart = groupsOf(shape, 1, {{0, 2}, {1, 3}}, {{0, 1, 2, 3}});
  ASSERT_EQ(apart.size(), 3u);
  EXPECT_THAT(apart[0].slots, ElementsAre(Slot{1, Side::key, 0}, Slot{1, Side::key, 2}));
  EXPECT_EQ(apart[2].slots.front(), (Slot{1, Side::value, 0}));
  EXPECT_EQ(apart[2].widths.size(), 256u);
  EXPECT_TRUE(apart[2].isUncompressed());

  const auto joint = joinKeysAndValues(shape, 0, {{0, 1}, {2, 3}});
  ASSERT_EQ(joint.size(), 2u);
  EXPECT_THAT(joint[1].slots, ElementsAre(Slot{0, Side::key, 2}, Slot{0, Side::key, 3}, Slot{0, Side::value, 2},
                                          Slot{0, Side::value, 3}));
}

TEST(PlanValidateTest, SoundPlansHaveNoProblems) {
  const ModelShape shape = smallShape();
  EXPECT_THAT(validate(pairsPlan(shape), shape), IsEmpty());
  EXPECT_THAT(validate(plainPlan(shape, 4), shape), IsEmpty());
  CompressionPlan joint;
  for (int layer = 0; layer < shape.layers; ++layer)
    for (Group& group : joinKeysAndValues(shape, layer, {{0, 1, 2, 3}})) joint.groups.push_back(group);
  EXPECT_THAT(validate(joint, shape), IsEmpty());
}

TEST(PlanValidateTest, LayersMayShareAGroup) {
  const ModelShape shape = smallShape();
  CompressionPlan plan;
  Group& group = plan.groups.emplace_back();
  for (const Group& single : singleSlots(shape)) {
    group.slots.push_back(single.slots.front());
    group.widths.insert(group.widths.end(), single.widths.begin(), single.widths.end());
  }
  EXPECT_THAT(validate(plan, shape), IsEmpty());
}

TEST(PlanValidateTest, NamesWhatIsMissingOrTwice) {
  const ModelShape shape = smallShape();
  CompressionPlan missing = pairsPlan(shape);
  missing.groups.erase(missing.groups.begin() + 2);
  EXPECT_THAT(validate(missing, shape),
              ElementsAre("2 of the model's 16 heads are in no group, the first is layer 0 value head 0."));

  CompressionPlan twice = pairsPlan(shape);
  twice.groups.push_back(twice.groups.front());
  EXPECT_THAT(validate(twice, shape), ElementsAre("The layer 0 key head 0 is in more than one place.",
                                                  "The layer 0 key head 1 is in more than one place."));
}

TEST(PlanValidateTest, NamesWrongSizesWidthsAndHeads) {
  const ModelShape shape = smallShape();
  CompressionPlan plan = pairsPlan(shape);
  plan.groups[0].widths.pop_back();
  plan.groups[1].widths[5] = 5;
  plan.groups[2].slots[1].head = 9;
  plan.groups[3].slots.clear();
  EXPECT_THAT(
      validate(plan, shape),
      AllOf(Contains("Group 0 has 127 widths, but its heads have 128 numbers."),
            Contains("Group 1 has a width of 5 bits at direction 5; this way of storing knows 0 1 2 3 4 6 8 16."),
            Contains("Group 2 holds layer 0 value head 9, but the model has 2 layers of 4 KV heads."),
            Contains("Group 3 holds no head.")));
  CompressionPlan lowRank = pairsPlan(shape);
  lowRank.storage = Storage::lowRank16;
  EXPECT_THAT(validate(lowRank, shape), IsEmpty());
  lowRank.groups[0].widths[0] = 8;
  EXPECT_THAT(validate(lowRank, shape), ElementsAre(HasSubstr("this way of storing knows 0 16")));
}

TEST(PlanValidateTest, KeysAfterRopeMustBeAlone) {
  const ModelShape shape = smallShape();
  CompressionPlan plan = pairsPlan(shape);
  plan.keyPosition = KeyPosition::afterRope;
  EXPECT_EQ(validate(plan, shape).size(), 4u);  // The four pairs of keys; values may be grouped.

  CompressionPlan alone;
  alone.keyPosition = KeyPosition::afterRope;
  for (int layer = 0; layer < shape.layers; ++layer)
    for (Group& group : groupsOf(shape, layer, {{0}, {1}, {2}, {3}}, {{0, 1, 2, 3}})) alone.groups.push_back(group);
  EXPECT_THAT(validate(alone, shape), IsEmpty());
}

TEST(PlanValidateTest, PlainQuantisationNeedsSingleHeadsOfOneWidth) {
  const ModelShape shape = smallShape();
  CompressionPlan plan = plainPlan(shape, 4);
  plan.groups[3].widths[1] = 8;
  EXPECT_THAT(validate(plan, shape), ElementsAre("Group 3 mixes widths; plain quantisation needs one width a head."));
  CompressionPlan pairs = pairsPlan(shape);
  pairs.storage = Storage::plainQuantised;
  EXPECT_THAT(validate(pairs, shape), Contains(HasSubstr("needs every head on its own")));
}

TEST(PlanValidateTest, SettingsMustBeSane) {
  const ModelShape shape = smallShape();
  CompressionPlan plan = pairsPlan(shape);
  plan.exactTokens = -1;
  plan.rankStep = 0;
  plan.target = {Target::Kind::share, 1.5};
  EXPECT_THAT(validate(plan, shape), ElementsAre(HasSubstr("rank step is 0"), HasSubstr("-1 exact tokens"),
                                                 "The target is 1.5; it must be above 0 and at most 1."));
  plan = pairsPlan(shape);
  plan.target = {Target::Kind::bytesPerToken, 1024};
  EXPECT_THAT(validate(plan, shape), IsEmpty());
  plan.target.value = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(validate(plan, shape).size(), 1u);
  EXPECT_THAT(validate(plan, ModelShape{}), ElementsAre(HasSubstr("at least one of each")));
}

TEST(PlanValidateTest, AVastShapeOrPlanIsNeitherSlowNorEndless) {
  ModelShape vast = smallShape();
  vast.layers = std::numeric_limits<int>::max();
  vast.kvHeads = 1 << 20;
  const auto problems = validate(pairsPlan(smallShape()), vast);
  EXPECT_THAT(problems, ElementsAre(HasSubstr("heads are in no group, the first is layer 0 key head 4")));

  CompressionPlan empty;
  empty.groups.resize(1000);
  const auto many = validate(empty, smallShape());
  EXPECT_EQ(many.size(), kMaxProblems + 1);
  EXPECT_EQ(many.back(), "... and 981 more problems.");
}

TEST(PlanFingerprintTest, EditsReachOnlyTheirLayer) {
  const ModelShape shape = smallShape();
  const CompressionPlan plan = pairsPlan(shape);
  CompressionPlan edited = plan;
  edited.groups.back().widths[7] = 0;
  EXPECT_EQ(layerFingerprint(plan, 0), layerFingerprint(edited, 0));
  EXPECT_NE(layerFingerprint(plan, 1), layerFingerprint(edited, 1));
  EXPECT_NE(fingerprint(plan), fingerprint(edited));
  EXPECT_EQ(fingerprint(plan).size(), 16u);
}

TEST(PlanFingerprintTest, WhatIsCompensatedDependsOnTheLayersBefore) {
  CompressionPlan plan = pairsPlan(smallShape());
  const std::string uncompensated = fingerprint(plan);
  plan.compensated = true;
  EXPECT_NE(fingerprint(plan), uncompensated);
  CompressionPlan first = plan, last = plan;
  first.groups.front().widths[7] = 0;
  last.groups.back().widths[7] = 0;
  EXPECT_NE(layerFingerprint(plan, 1), layerFingerprint(first, 1));
  EXPECT_EQ(layerFingerprint(plan, 0), layerFingerprint(last, 0));
}

TEST(PlanValidateTest, OnlyLatentsOfKeysBeforeRopeAreCompensated) {
  CompressionPlan plan = pairsPlan(smallShape());
  plan.compensated = true;
  EXPECT_THAT(validate(plan, smallShape()), IsEmpty());
  plan.keyPosition = KeyPosition::afterRope;
  EXPECT_THAT(validate(plan, smallShape()),
              Contains("The plan is compensated, which needs keys before RoPE and a latent."));
}

TEST(PlanFingerprintTest, OnlyWhatIsComputedCounts) {
  const ModelShape shape = smallShape();
  const CompressionPlan plan = pairsPlan(shape);
  CompressionPlan same = plan;
  same.allocator = "uniform";
  same.grouping = "manual";
  same.target.value = 0.5;
  same.rankStep = 32;
  same.groups[0].locked = true;
  std::reverse(same.groups.begin(), same.groups.end());
  EXPECT_NE(plan, same);
  EXPECT_EQ(fingerprint(plan), fingerprint(same));

  const auto changed = [&](auto change) {
    CompressionPlan other = plan;
    change(other);
    return layerFingerprint(other, 0) != layerFingerprint(plan, 0);
  };
  EXPECT_TRUE(changed([](CompressionPlan& p) { p.metric = Metric::identity; }));
  EXPECT_TRUE(changed([](CompressionPlan& p) { p.keyPosition = KeyPosition::afterRope; }));
  EXPECT_TRUE(changed([](CompressionPlan& p) { p.storage = Storage::lowRank16; }));
  EXPECT_TRUE(changed([](CompressionPlan& p) { p.exactTokens = 4; }));
  EXPECT_TRUE(changed([](CompressionPlan& p) { p.method = "recalkv"; }));
  EXPECT_TRUE(changed([](CompressionPlan& p) { std::swap(p.groups[0].slots[0], p.groups[0].slots[1]); }));
}

}  // namespace
}  // namespace kvista
