// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/edit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "core/plan/plan_groups.h"

namespace kvista {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ModelShape shapeOf(int layers, int heads, int width = 16) {
  ModelShape shape;
  shape.family = "llama";
  shape.layers = layers;
  shape.queryHeads = shape.kvHeads = heads;
  shape.headDim = shape.valueHeadDim = width;
  shape.hiddenSize = heads * width;
  return shape;
}

/// Groups of `size` neighbours in every layer, joint or apart, all 16 bit, as if made by hand.
CompressionPlan planOf(const ModelShape& shape, int size, bool joint) {
  CompressionPlan plan;
  plan.method = joint ? "joint" : "grouped";
  plan.grouping = "manual";
  plan.allocator = "waterline";
  HeadGroups heads;
  for (int head = 0; head < shape.kvHeads; ++head) {
    if (head % size == 0) heads.emplace_back();
    heads.back().push_back(head);
  }
  for (int layer = 0; layer < shape.layers; ++layer)
    for (Group& group : joint ? joinKeysAndValues(shape, layer, heads) : groupsOf(shape, layer, heads, heads))
      plan.groups.push_back(std::move(group));
  return plan;
}

void spend(CompressionPlan& plan, std::mt19937& random) {
  for (Group& group : plan.groups) {
    for (std::uint8_t& width : group.widths) width = std::array<std::uint8_t, 6>{0, 1, 2, 4, 8, 16}[random() % 6];
    std::ranges::sort(group.widths, std::greater<>());
  }
}

std::map<int, int> bitsOf(const CompressionPlan& plan) {
  std::map<int, int> directions;
  for (const Group& group : plan.groups)
    for (const std::uint8_t width : group.widths) ++directions[width];
  return directions;
}

Slot key(int head, int layer = 0) { return {layer, Side::key, head}; }
Slot value(int head, int layer = 0) { return {layer, Side::value, head}; }

TEST(Edit, AMovedHeadStandsInItsOrderAndTakesItsShareOfTheBits) {
  const ModelShape shape = shapeOf(1, 4, 4);
  CompressionPlan plan = planOf(shape, 2, true);
  plan.groups[0].widths = {8, 8, 8, 8, 4, 4, 4, 4, 2, 2, 2, 2, 0, 0, 0, 0};
  plan.groups[1].widths = std::vector<std::uint8_t>(16, 1);
  const auto moved = moveSlots(plan, shape, std::array{key(1)}, 1);
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_THAT(moved->groups[0].slots, ElementsAre(key(0), value(0), value(1)));
  EXPECT_THAT(moved->groups[1].slots, ElementsAre(key(1), key(2), key(3), value(2), value(3)));
  EXPECT_THAT(moved->groups[0].widths, ElementsAre(8, 8, 8, 4, 4, 4, 2, 2, 2, 0, 0, 0));
  EXPECT_EQ(moved->groups[1].widths.size(), 20u);
  EXPECT_EQ(std::ranges::count(moved->groups[1].widths, 8), 1);
  EXPECT_EQ(moved->groups[1].widths.front(), 8) << "the widest first: directions fall";
  EXPECT_EQ(describeEdit(plan, *moved), "Move K1 to group 2");
}

TEST(Edit, AMoveAndItsInverseRestoreThePlan) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const bool joint = round % 2 == 0;
    const ModelShape shape = shapeOf(2, 8);
    const CompressionPlan plan = planOf(shape, 1 + static_cast<int>(random() % 4), joint);
    const int from = static_cast<int>(random() % plan.groups.size());
    const Group& source = plan.groups[static_cast<std::size_t>(from)];
    std::vector<Slot> heads;
    std::ranges::sample(source.slots, std::back_inserter(heads), 1 + static_cast<int>(random() % 3), random);
    const int target = static_cast<int>(random() % (plan.groups.size() + 1)) - 1;
    const auto moved = moveSlots(plan, shape, heads, target);
    if (!moved) continue;  // Another layer, or nothing to change.
    const bool emptied = heads.size() == source.slots.size();
    // The group they came from, wherever it stands now.
    int home = kNewGroup;
    for (std::size_t i = 0; i < moved->groups.size() && !emptied; ++i)
      for (const Slot& slot : moved->groups[i].slots)
        if (slot.layer == source.slots[0].layer && std::ranges::find(source.slots, slot) != source.slots.end() &&
            std::ranges::find(heads, slot) == heads.end())
          home = static_cast<int>(i);
    const auto back = moveSlots(*moved, shape, heads, home);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, plan) << "round " << round;
    EXPECT_EQ(describeEdit(plan, *back), "");
  }
}

TEST(Edit, AnyEditsLeaveASoundPlanWithTheSameBits) {
  std::mt19937 random(11);
  int done = 0, refused = 0;
  for (int round = 0; round < 60; ++round) {
    ModelShape shape = shapeOf(3, 1 + static_cast<int>(random() % 8));
    shape.valueHeadDim = 8;
    CompressionPlan plan = planOf(shape, 1 + static_cast<int>(random() % 4), round % 2 == 0);
    plan.storage = Storage::coded;
    spend(plan, random);
    const auto before = bitsOf(plan);
    for (int step = 0; step < 20; ++step) {
      const auto index = [&] { return static_cast<int>(random() % plan.groups.size()); };
      const auto layer = [&] { return static_cast<int>(random() % 3); };
      const Group& group = plan.groups[static_cast<std::size_t>(index())];
      std::vector<Slot> heads;
      std::ranges::sample(group.slots, std::back_inserter(heads), 2, random);
      Result<CompressionPlan> edited = plan;
      switch (random() % 6) {
        case 0:
          edited = moveSlots(plan, shape, heads, index());
          break;
        case 1:
          edited = moveSlots(plan, shape, heads, kNewGroup);
          break;
        case 2:
          edited = mergeGroups(plan, shape, std::array{index(), index()});
          break;
        case 3:
          edited = joinLayer(plan, shape, layer(), random() % 2 == 0);
          break;
        case 4:
          edited = applyLayerTo(plan, shape, layer(), std::array{layer()});
          break;
        default:
          edited = setLock(plan, index(), random() % 4 == 0);
          break;
      }
      if (!edited) {
        EXPECT_FALSE(edited.error().message.empty());
        ++refused;
        continue;
      }
      ++done;
      EXPECT_THAT(validate(*edited, shape), IsEmpty());
      EXPECT_EQ(bitsOf(*edited), before);
      const auto survives = [&](const Group& group) {
        return !group.locked || std::ranges::any_of(edited->groups, [&](const Group& each) {
          return each.slots == group.slots && each.widths == group.widths;
        });
      };
      EXPECT_TRUE(std::ranges::all_of(plan.groups, survives)) << "a locked group was touched";
      EXPECT_EQ(plan == *edited, describeEdit(plan, *edited).empty());
      plan = *edited;
    }
  }
  EXPECT_GT(done, 300);
  EXPECT_GT(refused, 50);
}

TEST(Edit, WhatIsNotAllowedSaysWhy) {
  const ModelShape shape = shapeOf(2, 4);
  CompressionPlan plan = planOf(shape, 2, false);  // Layer 0: K01 K23 V01 V23, then layer 1.
  const auto reason = [](const Result<CompressionPlan>& result) {
    return result ? std::string("allowed") : result.error().message;
  };
  EXPECT_THAT(reason(moveSlots(plan, shape, std::array{key(0)}, 5)), HasSubstr("K0 is a head of layer 0"));
  EXPECT_THAT(reason(moveSlots(plan, shape, std::array{key(0), key(0, 1)}, 1)), HasSubstr("2 layers"));
  EXPECT_THAT(reason(moveSlots(plan, shape, std::array{key(0)}, 0)), HasSubstr("already"));
  EXPECT_THAT(reason(moveSlots(plan, shape, std::array{key(0), key(1)}, kNewGroup)), HasSubstr("already"));
  EXPECT_THAT(reason(moveSlots(plan, shape, std::array{key(9)}, 0)), HasSubstr("not in the plan"));
  EXPECT_THAT(reason(moveSlots(plan, shape, std::vector<Slot>{}, 0)), HasSubstr("No heads"));
  EXPECT_THAT(reason(moveSlots(plan, shape, std::array{key(0)}, 99)), HasSubstr("no group 99"));
  EXPECT_THAT(reason(splitGroup(plan, shape, 0, std::array{key(0), key(1)})), HasSubstr("some must stay"));
  EXPECT_THAT(reason(splitGroup(plan, shape, 0, std::array{key(3)})), HasSubstr("not in K group 1"));
  EXPECT_THAT(reason(mergeGroups(plan, shape, std::array{1, 1})), HasSubstr("Only one"));
  EXPECT_THAT(reason(regroupLayer(plan, shape, 0, {{0, 1}}, {{0, 1, 2, 3}}, false)),
              HasSubstr("key groups name 2 heads"));
  EXPECT_THAT(reason(regroupLayer(plan, shape, 0, {{0, 1}, {2, 3}}, {{0, 1, 2, 3}}, true)), HasSubstr("alike"));

  const CompressionPlan locked = setLock(plan, 0, true).value();
  EXPECT_EQ(describeEdit(plan, locked), "Lock layer 0 K group 1");
  EXPECT_THAT(reason(moveSlots(locked, shape, std::array{key(0)}, 1)), HasSubstr("locked"));
  EXPECT_THAT(reason(moveSlots(locked, shape, std::array{key(2)}, 0)), HasSubstr("locked"));
  EXPECT_THAT(reason(joinLayer(locked, shape, 0, true)), HasSubstr("locked"));
  EXPECT_THAT(reason(applyLayerTo(locked, shape, 1, std::array{0})), HasSubstr("locked"));
  EXPECT_TRUE(applyLayerTo(locked, shape, 0, std::array{1}));

  CompressionPlan sharing = setLock(plan, static_cast<int>(plan.groups.size()) - 1, true).value();
  for (int layer = 0; layer < shape.layers; ++layer) sharing.sharedFrom.push_back(0);
  EXPECT_THAT(reason(setLock(sharing, static_cast<int>(plan.groups.size()) - 1, false)),
              HasSubstr("reads the cache of layer 0"));

  CompressionPlan rotated = planOf(shape, 1, false);
  rotated.keyPosition = KeyPosition::afterRope;
  EXPECT_THAT(reason(moveSlots(rotated, shape, std::array{key(0)}, 1)), HasSubstr("after RoPE"));
  EXPECT_THAT(reason(moveSlots(rotated, shape, std::array{value(0)}, 1)), HasSubstr("after RoPE"));
  EXPECT_EQ(reason(moveSlots(rotated, shape, std::array{value(0)}, 5)), "allowed");
  EXPECT_THAT(reason(joinLayer(rotated, shape, 0, true)), HasSubstr("after RoPE"));

  CompressionPlan unsound = plan;
  unsound.groups.pop_back();
  EXPECT_THAT(reason(moveSlots(unsound, shape, std::array{key(0)}, 1)), HasSubstr("in no group"));
}

TEST(Edit, JoiningAndPartingALayerTouchesNoOther) {
  const ModelShape shape = shapeOf(2, 4);
  const CompressionPlan apart = planOf(shape, 2, false);
  const CompressionPlan joined = joinLayer(apart, shape, 1, true).value();
  ASSERT_EQ(joined.groups.size(), 6u);
  EXPECT_THAT(joined.groups[4].slots, ElementsAre(key(0, 1), key(1, 1), value(0, 1), value(1, 1)));
  EXPECT_EQ(describeEdit(apart, joined), "Join keys and values of layer 1");
  EXPECT_EQ(describeEdit(joined, apart), "Part keys and values of layer 1");
  EXPECT_EQ(joinLayer(joined, shape, 1, false).value(), apart);
}

TEST(Edit, AppliesTheGroupsOfALayerToOthers) {
  const ModelShape shape = shapeOf(3, 4);
  const CompressionPlan plan = planOf(shape, 2, false);
  const CompressionPlan crossed = regroupLayer(plan, shape, 0, {{0, 3}, {1, 2}}, {{0, 1, 2, 3}}, false).value();
  const CompressionPlan all = applyLayerTo(crossed, shape, 0, std::array{1, 2}).value();
  for (int layer = 0; layer < 3; ++layer) {
    EXPECT_EQ(headGroups(all, layer, Side::key), (HeadGroups{{0, 3}, {1, 2}}));
    EXPECT_EQ(headGroups(all, layer, Side::value), (HeadGroups{{0, 1, 2, 3}}));
  }
  EXPECT_EQ(describeEdit(crossed, all), "Regroup 2 layers");
  EXPECT_EQ(describeEdit(plan, crossed), "Regroup layer 0");
}

TEST(Edit, NamesSayWhatWasDone) {
  const ModelShape shape = shapeOf(8, 16);
  const CompressionPlan plan = planOf(shape, 4, true);
  CompressionPlan ranks = plan;
  ranks.groups[29].widths.assign(128, 0);
  std::fill_n(ranks.groups[29].widths.begin(), 96, std::uint8_t{8});
  EXPECT_EQ(describeEdit(plan, ranks), "Set rank of layer 7 group 2 to 96");
  CompressionPlan bits = ranks;
  std::fill_n(bits.groups[29].widths.begin() + 8, 88, std::uint8_t{4});
  EXPECT_EQ(describeEdit(ranks, bits), "Set bits of layer 7 group 2 to 52 B a token");
  CompressionPlan target = plan;
  target.target = {Target::Kind::share, 0.125};
  EXPECT_EQ(describeEdit(plan, target), "Set target to 8 times smaller");

  const auto done = [&](const Result<CompressionPlan>& after) { return describeEdit(plan, after.value()); };
  EXPECT_EQ(done(moveSlots(plan, shape, std::array{key(9), value(9)}, 0)), "Move K9, V9 to group 1");
  EXPECT_EQ(done(moveSlots(plan, shape, std::array{key(9), key(4), key(5), key(6)}, 0)), "Move 4 heads to group 1");
  EXPECT_EQ(done(moveSlots(plan, shape, std::array{key(9)}, kNewGroup)), "Move K9 to a new group");
  EXPECT_EQ(done(splitGroup(plan, shape, 1, std::span(plan.groups[1].slots).first(4))), "Split group 2 of layer 0");
  EXPECT_EQ(done(mergeGroups(plan, shape, std::array{2, 0})), "Merge group 3 with group 1");
  EXPECT_EQ(done(mergeGroups(plan, shape, std::array{2, 0, 1})), "Merge 3 groups of layer 0");
}

}  // namespace
}  // namespace kvista
