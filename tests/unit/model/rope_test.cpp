// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Frequencies against closed forms, and what is refused.
#include "core/model/rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "core/model/config_reader.h"
#include "test_models.h"

namespace kvista::test {
namespace {

Result<RopeDescription> read(const nlohmann::json& config, int rotaryDim, std::int64_t maximumPositions = 64) {
  return readRope(ConfigReader(config, "config.json"), rotaryDim, {.maximumPositions = maximumPositions});
}

std::vector<double> frequencies(const nlohmann::json& config, int rotaryDim, std::int64_t length = 1) {
  return inverseFrequencies(valueOf(read(config, rotaryDim)), length);
}

std::string errorOf(const nlohmann::json& config, int rotaryDim = 8) {
  const auto rope = read(config, rotaryDim);
  return rope ? "accepted" : rope.error().message;
}

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Rope, DefaultIsGeometric) {
  EXPECT_THAT(frequencies({{"rope_theta", 16.0}}, 8), ElementsAre(1, 0.5, 0.25, 0.125));
  EXPECT_DOUBLE_EQ(frequencies(nlohmann::json::object(), 4)[1], 0.01);  // theta 10000
}

TEST(Rope, OldAndNewStyleAgree) {
  const auto old = read({{"rope_theta", 16.0}, {"rope_scaling", {{"type", "linear"}, {"factor", 2}}}}, 8);
  const auto current = read({{"rope_parameters", {{"rope_type", "linear"}, {"factor", 2}, {"rope_theta", 16.0}}}}, 8);
  EXPECT_EQ(valueOf(old), valueOf(current));
  EXPECT_THAT(inverseFrequencies(*old, 1), ElementsAre(0.5, 0.25, 0.125, 0.0625));
}

TEST(Rope, ScalingWinsOverParametersAndRopeTypeOverType) {
  const nlohmann::json config = {{"rope_scaling", {{"type", "yarn"}, {"rope_type", "linear"}, {"factor", 2}}},
                                 {"rope_parameters", {{"rope_type", "default"}}}};
  EXPECT_EQ(valueOf(read(config, 8)).type, RopeType::linear);
}

TEST(Rope, EmptyOrNullScalingIsNone) {
  EXPECT_EQ(valueOf(read({{"rope_scaling", nullptr}}, 8)).type, RopeType::standard);
  const nlohmann::json config = {{"rope_scaling", nlohmann::json::object()},
                                 {"rope_parameters", {{"rope_type", "linear"}, {"factor", 4}}}};
  EXPECT_EQ(valueOf(read(config, 8)).type, RopeType::linear);
}

TEST(Rope, DynamicGrowsOnlyBeyondTheTrainedLength) {
  const nlohmann::json config = {{"rope_theta", 16.0}, {"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 3}}}};
  EXPECT_EQ(frequencies(config, 8, 64), frequencies({{"rope_theta", 16.0}}, 8));
  const double theta = 16 * std::pow(3.0 * 128 / 64 - 2, 8.0 / 6.0);
  EXPECT_NEAR(frequencies(config, 8, 128)[1], std::pow(theta, -0.25), 1e-15);
}

TEST(Rope, Llama3KeepsShortAndDividesLongWavelengths) {
  const nlohmann::json config = {{"rope_theta", 1e6},
                                 {"rope_scaling",
                                  {{"rope_type", "llama3"},
                                   {"factor", 8},
                                   {"low_freq_factor", 1},
                                   {"high_freq_factor", 4},
                                   {"original_max_position_embeddings", 64}}}};
  const auto plain = frequencies({{"rope_theta", 1e6}}, 16);
  const auto scaled = frequencies(config, 16);
  for (std::size_t j = 0; j < plain.size(); ++j) {
    const double turns = 64 * plain[j] / (2 * std::numbers::pi);
    const double smooth = (turns - 1) / 3;
    const double expected = turns > 4   ? plain[j]
                            : turns < 1 ? plain[j] / 8
                                        : (1 - smooth) * plain[j] / 8 + smooth * plain[j];
    EXPECT_NEAR(scaled[j], expected, 1e-15) << j;
  }
  EXPECT_DOUBLE_EQ(scaled.front(), plain.front());
  EXPECT_DOUBLE_EQ(scaled.back(), plain.back() / 8);
}

TEST(Rope, YarnRampAndTemperature) {
  nlohmann::json scaling = {{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 1024}};
  const auto rope = valueOf(read({{"rope_scaling", scaling}}, 64));
  EXPECT_NEAR(rope.attentionFactor, 0.1 * std::log(4.0) + 1, 1e-15);
  const auto pair = [](double turns) {
    return 64 * std::log(1024 / (turns * 2 * std::numbers::pi)) / (2 * std::log(1e4));
  };
  EXPECT_EQ(rope.rampLow, std::floor(pair(32)));
  EXPECT_EQ(rope.rampHigh, std::ceil(pair(1)));
  const auto scaled = inverseFrequencies(rope, 1);
  EXPECT_DOUBLE_EQ(scaled.front(), 1.0);
  EXPECT_DOUBLE_EQ(scaled.back(), std::pow(1e4, -62.0 / 64) / 4);

  scaling["mscale"] = 2.0;
  scaling["mscale_all_dim"] = 1.0;
  EXPECT_NEAR(valueOf(read({{"rope_scaling", scaling}}, 64)).attentionFactor,
              (0.2 * std::log(4.0) + 1) / (0.1 * std::log(4.0) + 1), 1e-15);
  scaling["attention_factor"] = 1.5;
  EXPECT_EQ(valueOf(read({{"rope_scaling", scaling}}, 64)).attentionFactor, 1.5);
  scaling["truncate"] = false;
  EXPECT_NEAR(valueOf(read({{"rope_scaling", scaling}}, 64)).rampLow, pair(32), 1e-12);
}

TEST(Rope, LongropeChoosesByLength) {
  const nlohmann::json config = {
      {"rope_theta", 16.0},
      {"original_max_position_embeddings", 16},
      {"rope_scaling", {{"rope_type", "longrope"}, {"short_factor", {1, 2, 1, 1}}, {"long_factor", {4, 4, 4, 8}}}}};
  EXPECT_THAT(frequencies(config, 8, 16), ElementsAre(1, 0.25, 0.25, 0.125));
  EXPECT_THAT(frequencies(config, 8, 17), ElementsAre(0.25, 0.125, 0.0625, 0.015625));
  // 64 positions over 16 trained ones: a stretch of 4
  EXPECT_NEAR(valueOf(read(config, 8)).attentionFactor, std::sqrt(1 + std::log(4.0) / std::log(16.0)), 1e-15);
}

TEST(Rope, FactorsDivide) {
  const nlohmann::json config = {
      {"rope_parameters", {{"rope_type", "factors"}, {"rope_theta", 16.0}, {"factors", {1, 2, 4, 8}}}}};
  EXPECT_THAT(frequencies(config, 8), ElementsAre(1, 0.25, 0.0625, 0.015625));
}

TEST(Rope, PartOfAHeadRotates) {
  const auto rotaryDim = [](const nlohmann::json& config) {
    return valueOf(readRope(ConfigReader(config, "config.json"), 16, {.fraction = 0.5, .fractionKey = "rotary_pct"}))
        .rotaryDim;
  };
  EXPECT_EQ(rotaryDim(nlohmann::json::object()), 8);
  EXPECT_EQ(rotaryDim({{"rotary_pct", 0.4}}), 6);  // of 6.4
  EXPECT_EQ(rotaryDim({{"rotary_pct", 1.0}}), 16);
  EXPECT_EQ(rotaryDim({{"rotary_pct", 1.0}, {"rope_parameters", {{"partial_rotary_factor", 0.25}}}}), 4);
  EXPECT_THAT(errorOf({{"partial_rotary_factor", 0.5}}),
              HasSubstr("partial_rotary_factor is 0.5; this family rotates whole heads (1)"));
  const nlohmann::json odd = {{"rotary_pct", 0.32}};
  const auto refused = readRope(ConfigReader(odd, "config.json"), 16, {.fractionKey = "rotary_pct"});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              HasSubstr("5 of a head's 16 numbers rotate; rotary embedding needs an even number"));
}

TEST(Rope, Phi3NamesLongropeOtherwiseAndSaysTheTrainedLengthBeside) {
  nlohmann::json config = {{"original_max_position_embeddings", 16},
                           {"rope_scaling",
                            {{"type", "su"},
                             {"short_factor", {1, 1, 1, 1}},
                             {"long_factor", {2, 2, 2, 2}},
                             {"original_max_position_embeddings", 32}}}};
  const RopeConventions phi3{.isPhi3 = true, .maximumPositions = 64};
  for (const char* name : {"su", "yarn", "longrope"}) {
    config["rope_scaling"]["type"] = name;
    const auto rope = valueOf(readRope(ConfigReader(config, "config.json"), 8, phi3));
    EXPECT_EQ(rope.type, RopeType::longrope) << name;
    EXPECT_EQ(rope.trainedLength, 16) << name;
    EXPECT_NEAR(rope.attentionFactor, std::sqrt(1 + std::log(4.0) / std::log(16.0)), 1e-15);
  }
}

TEST(Rope, RefusalsNameTheField) {
  EXPECT_THAT(errorOf({{"rope_scaling", {{"rope_type", "spiral"}, {"factor", 2}}}}),
              HasSubstr("rope_type 'spiral' is not supported; supported: default, linear, dynamic, llama3, yarn"));
  EXPECT_THAT(errorOf({{"rope_scaling", {{"type", "linear"}}}}), HasSubstr("rope_scaling.factor is missing"));
  EXPECT_THAT(errorOf({{"rope_scaling", {{"type", "linear"}, {"factor", 0}}}}),
              HasSubstr("rope_scaling.factor is 0; it must be a finite number above 0"));
  EXPECT_THAT(errorOf({{"rope_scaling", "linear"}}), HasSubstr("rope_scaling is \"linear\"; it must be an object"));
  EXPECT_THAT(errorOf({{"rope_theta", -1}}), HasSubstr("rope_theta is -1"));
  EXPECT_THAT(errorOf({{"rope_scaling", {{"type", "longrope"}, {"short_factor", {1}}, {"long_factor", {1}}}}}),
              HasSubstr("rope_scaling.short_factor is a list of 1; it must be a list of 4 finite numbers above 0"));
  EXPECT_THAT(errorOf({{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2}}}, {"rope_theta", 1}}),
              HasSubstr("yarn needs a value above 1"));
  EXPECT_THAT(errorOf({{"rope_scaling",
                        {{"rope_type", "llama3"}, {"factor", 2}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}}}),
              HasSubstr("high_freq_factor is 4; it must be above low_freq_factor 4"));
}

}  // namespace
}  // namespace kvista::test
