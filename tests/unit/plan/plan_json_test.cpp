// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "core/plan/plan.h"
#include "core/plan/plan_groups.h"

namespace kvista {
namespace {

using nlohmann::json;

CompressionPlan examplePlan() {
  ModelShape shape;
  shape.layers = 2;
  shape.queryHeads = shape.kvHeads = 2;
  shape.headDim = shape.valueHeadDim = 4;
  CompressionPlan plan;
  plan.method = "coded";
  plan.grouping = "all";
  plan.allocator = "waterline";
  plan.target = {Target::Kind::maxLoss, 0.1};
  plan.groups = joinKeysAndValues(shape, 0, {{0, 1}});
  plan.groups[0].widths = {16, 8, 8, 8, 4, 4, 2, 2, 2, 1, 0, 0, 0, 0, 0, 0};
  plan.groups[0].locked = true;
  Group second;
  second.slots = {{1, Side::key, 0}, {1, Side::key, 1}, {1, Side::value, 1}, {1, Side::value, 0}};
  second.widths.assign(16, 2);
  plan.groups.push_back(second);
  return plan;
}

TEST(PlanJsonTest, ComesBackAsItWas) {
  const CompressionPlan plan = examplePlan();
  const auto back = planFromJson(json::parse(toJson(plan).dump()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, plan);
  EXPECT_EQ(toJson(*back).dump(), toJson(plan).dump());
  const auto fromCbor = planFromJson(json::from_cbor(json::to_cbor(toJson(plan))));
  ASSERT_TRUE(fromCbor);
  EXPECT_EQ(*fromCbor, plan);
}

TEST(PlanJsonTest, CompensationIsWrittenOnlyWhereThereIsSome) {
  CompressionPlan plan = examplePlan();
  EXPECT_FALSE(toJson(plan).contains("compensated"));
  for (const auto& [flag, name] :
       {std::pair{&CompressionPlan::sinkFree, "sinkFree"}, {&CompressionPlan::centred, "centred"}}) {
    EXPECT_FALSE(toJson(plan).contains(name));
    CompressionPlan other = plan;
    other.*flag = true;
    EXPECT_EQ(planFromJson(toJson(other)).value(), other);
    EXPECT_NE(fingerprint(other), fingerprint(plan));
  }
  plan.compensated = true;
  EXPECT_EQ(planFromJson(toJson(plan)).value(), plan);
  json damaged = toJson(plan);
  damaged["compensated"] = 1;
  EXPECT_EQ(planFromJson(damaged).error().message, "The plan's field 'compensated' is not true or false.");
}

TEST(PlanJsonTest, EveryEnumerationComesBack) {
  for (const auto storage : {Storage::lowRank16, Storage::coded, Storage::plainQuantised})
    for (const auto kind :
         {Target::Kind::share, Target::Kind::keptFraction, Target::Kind::bytesPerToken, Target::Kind::maxLoss})
      for (const auto position : {KeyPosition::beforeRope, KeyPosition::afterRope})
        for (const auto metric : {Metric::identity, Metric::fisher}) {
          CompressionPlan plan = examplePlan();
          plan.storage = storage;
          plan.target.kind = kind;
          plan.keyPosition = position;
          plan.metric = metric;
          EXPECT_EQ(planFromJson(toJson(plan)).value(), plan);
        }
}

TEST(PlanJsonTest, IsSmallAndReadable) {
  const json written = toJson(examplePlan());
  EXPECT_EQ(
      written["groups"][0].dump(),
      R"({"layer":0,"locked":true,"slots":["K0","K1","V0","V1"],"widths":[[16,1],[8,3],[4,2],[2,3],[1,1],[0,6]]})");
  EXPECT_EQ(written["groups"][1].dump(), R"({"layer":1,"slots":["K0","K1","V1","V0"],"widths":[[2,16]]})");
}

TEST(PlanJsonTest, GroupsOverLayersNameOneLayerASlot) {
  CompressionPlan plan = examplePlan();
  plan.groups.resize(1);
  plan.groups[0].slots = {{3, Side::value, 7}, {2, Side::key, 0}};
  const json written = toJson(plan);
  EXPECT_EQ(written["groups"][0]["layers"].dump(), "[3,2]");
  EXPECT_FALSE(written["groups"][0].contains("layer"));
  EXPECT_EQ(planFromJson(written).value(), plan);
}

struct Mistake {
  const char* name;
  std::function<void(json&)> make;
  const char* message;
};

class PlanJsonMistakeTest : public ::testing::TestWithParam<Mistake> {};

TEST_P(PlanJsonMistakeTest, IsRefusedByName) {
  json value = toJson(examplePlan());
  GetParam().make(value);
  const auto plan = planFromJson(value);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::invalidArgument);
  EXPECT_EQ(plan.error().message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    All, PlanJsonMistakeTest,
    ::testing::Values(
        Mistake{"NotAnObject", [](json& j) { j = json::array(); }, "The plan's field '(whole)' is not an object."},
        Mistake{"Missing", [](json& j) { j.erase("metric"); }, "The plan's field 'metric' is missing."},
        Mistake{"Unknown", [](json& j) { j["colour"] = 1; }, "The plan's field 'colour' is not known."},
        Mistake{"UnknownDeep", [](json& j) { j["groups"][1]["rank"] = 1; },
                "The plan's field 'groups[1].rank' is not known."},
        Mistake{"Choice", [](json& j) { j["storage"] = "zip"; },
                "The plan's field 'storage' is 'zip', it must be one of lowRank16 coded plainQuantised."},
        Mistake{"LongName", [](json& j) { j["method"] = std::string(1000, 'x'); },
                "The plan's field 'method' has 1000 bytes, at most 256 are allowed."},
        Mistake{"TextForNumber", [](json& j) { j["rankStep"] = "8"; },
                "The plan's field 'rankStep' is not a whole number."},
        Mistake{"FractionForInteger", [](json& j) { j["exactTokens"] = 1.5; },
                "The plan's field 'exactTokens' is not a whole number."},
        Mistake{"Negative", [](json& j) { j["exactTokens"] = -4; },
                "The plan's field 'exactTokens' is -4, it must be 0 to 1024."},
        Mistake{"Beyond64Bits", [](json& j) { j["rankStep"] = 18446744073709551615u; },
                "The plan's field 'rankStep' is 18446744073709551615, it must be 1 to 65535."},
        Mistake{"TargetZero", [](json& j) { j["target"]["value"] = 0; },
                "The plan's field 'target.value' is not above 0."},
        Mistake{"TargetNull", [](json& j) { j["target"]["value"] = nullptr; },
                "The plan's field 'target.value' is not a number."},
        Mistake{"Layer", [](json& j) { j["groups"][0]["layer"] = 70000; },
                "The plan's field 'groups[0].layer' is 70000, it must be 0 to 65535."},
        Mistake{"BothLayers",
                [](json& j) {
                  j["groups"][0]["layers"] = {0, 0, 0, 0};
                },
                "The plan's field 'groups[0].layer' or 'layers' must be given, and not both."},
        Mistake{"LayersCount",
                [](json& j) {
                  j["groups"][0].erase("layer");
                  j["groups"][0]["layers"] = {0};
                },
                "The plan's field 'groups[0].layers' has 1 entries for 4 slots."},
        Mistake{"Slot", [](json& j) { j["groups"][0]["slots"][1] = "Q1"; },
                "The plan's field 'groups[0].slots[1]' is not K or V and a head's number from 0 to 65535."},
        Mistake{"SlotNegative", [](json& j) { j["groups"][0]["slots"][1] = "K-1"; },
                "The plan's field 'groups[0].slots[1]' is not K or V and a head's number from 0 to 65535."},
        Mistake{"SlotZeros", [](json& j) { j["groups"][0]["slots"][1] = "K01"; },
                "The plan's field 'groups[0].slots[1]' is not K or V and a head's number from 0 to 65535."},
        Mistake{"SlotHuge", [](json& j) { j["groups"][0]["slots"][1] = "K99999999999999999999"; },
                "The plan's field 'groups[0].slots[1]' is not K or V and a head's number from 0 to 65535."},
        Mistake{"SlotsEmpty", [](json& j) { j["groups"][0]["slots"] = json::array(); },
                "The plan's field 'groups[0].slots' is empty."},
        Mistake{"TwiceInOneGroup", [](json& j) { j["groups"][0]["slots"][1] = "K0"; },
                "The plan's field 'groups[0].slots' holds K0 of layer 0, which groups[0] holds already."},
        Mistake{"TwiceInTwoGroups", [](json& j) { j["groups"][1]["layer"] = 0; },
                "The plan's field 'groups[1].slots' holds K0 of layer 0, which groups[0] holds already."},
        Mistake{"Width", [](json& j) { j["groups"][1]["widths"][0][0] = 7; },
                "The plan's field 'groups[1].widths[0][0]' is 7, it must be one of 0 1 2 3 4 5 6 8 12 16."},
        Mistake{"EmptyRun", [](json& j) { j["groups"][1]["widths"][0][1] = 0; },
                "The plan's field 'groups[1].widths[0][1]' is 0, it must be 1 to 16777216."},
        Mistake{"NoPair", [](json& j) { j["groups"][1]["widths"][0] = 2; },
                "The plan's field 'groups[1].widths[0]' is not a pair [width, count]."},
        Mistake{"VastRun", [](json& j) { j["groups"][1]["widths"][0][1] = 16777216; },
                "The plan's field 'groups[1].widths[0]' brings the plan above 16777216 widths in all."},
        Mistake{"Locked", [](json& j) { j["groups"][0]["locked"] = 1; },
                "The plan's field 'groups[0].locked' is not true or false."}),
    [](const auto& mistake) { return mistake.param.name; });

}  // namespace
}  // namespace kvista
