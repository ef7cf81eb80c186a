// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// The form of an experiment's file, and those that come along.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/compress/layouts.h"
#include "core/engine/experiment/experiment.h"
#include "core/io/json_file.h"
#include "tests/unit/demo_model.h"
#include "tests/unit/engine/experiment_specification.h"

namespace kvista::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(ExperimentFile, MoreThanCanBeMeasuredIsRefused) {
  json file = specification();
  json values = json::array(), systems = json::array(), sweeps = json::array();
  for (int i = 1; i <= 100; ++i) values.push_back(i / 100.0);
  for (int i = 0; i < 1000; ++i) systems.push_back({{"name", std::to_string(i)}, {"plan", {{"method", "joint"}}}});
  for (int i = 0; i < 2; ++i)
    sweeps.push_back({{"name", std::to_string(i)}, {"unit", "share"}, {"values", values}, {"systems", systems}});
  file["sweeps"] = sweeps;
  EXPECT_THAT(errorOf(experimentFromJson(file)).message, HasSubstr("more than 100000"));
}

TEST(ExperimentFile, ThoseThatComeAlongAreSound) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(KVISTA_SOURCE_DIR "/resources/experiments")) {
    EXPECT_TRUE(experimentFromJson(valueOf(readJsonFile(entry.path())))) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 2);
}

TEST(ExperimentFile, TheManualsExampleIsSound) {
  std::ifstream page(KVISTA_SOURCE_DIR "/resources/help/experiments.md");
  const std::string text(std::istreambuf_iterator<char>(page), {});
  const std::size_t begin = text.find("```json\n") + 8;
  const auto read = experimentFromJson(json::parse(text.substr(begin, text.find("```", begin) - begin)));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->sweeps.at(0).systems.at(1).plan->grouping, "head");
}

TEST(ExperimentFile, APlanTakesEveryGroupingThatPlansTake) {
  json file = specification();
  for (const auto& [name, summary] : layoutNames()) {
    const json plan = {{"method", "joint"}, {"grouping", std::string(name)}};
    file["sweeps"][0]["systems"] = json::array({json{{"name", "one"}, {"plan", plan}}});
    EXPECT_TRUE(experimentFromJson(file)) << name;
  }
  file["sweeps"][0]["systems"][0]["plan"]["grouping"] = "none such";
  EXPECT_THAT(errorOf(experimentFromJson(file)).hint, HasSubstr("separate"));
}

TEST(ExperimentFile, APolicyIsALineAsTheCommandLineTakesIt) {
  json file = specification();
  file["sweeps"][0]["systems"][0] = {
      {"name", "one"}, {"policy", {{"name", "kvzip+hadamard bits=3"}, {"options", {{"kvzip.window", 4}}}}}};
  const Experiment experiment = valueOf(experimentFromJson(file));
  EXPECT_EQ(experiment.sweeps[0].systems[0].policy,
            (PolicyRequest{"kvzip+hadamard", {{"bits", "3"}, {"kvzip.window", "4"}}}));
}

struct Slip {
  const char* pointer;  ///< Where in the specification.
  json value;
  const char* words;
};
class ExperimentSlips : public testing::TestWithParam<Slip> {};

TEST_P(ExperimentSlips, AreNamed) {
  json wrong = specification();
  wrong[json::json_pointer(GetParam().pointer)] = GetParam().value;
  const Error error = errorOf(experimentFromJson(wrong));
  EXPECT_EQ(error.code, ErrorCode::invalidArgument);
  EXPECT_THAT(error.message, HasSubstr(GetParam().words));
}

INSTANTIATE_TEST_SUITE_P(
    , ExperimentSlips,
    testing::Values(
        Slip{"/version", 2, "version"}, Slip{"/swep", 1, "\"swep\""}, Slip{"/name", "", "name"},
        Slip{"/sweeps", json::array(), "sweeps"}, Slip{"/sweeps/0/unit", "furlongs", "furlongs"},
        Slip{"/sweeps/0/values/1", 1.5, "1.5"}, Slip{"/sweeps/0/values", "all", "values"},
        Slip{"/sweeps/0/values", {.25, .25}, "0.25 twice"},
        Slip{"/sweeps/0/systems/0/plan/measure", "magic", "plan of the experiment: There is no measure \"magic\""},
        Slip{"/sweeps/0/systems/0/plan/grouping", "magic", "grouping 'magic'"},
        Slip{"/sweeps/0/systems/0/plan/allocator", "magic", "allocator 'magic'"},
        Slip{"/sweeps/1/systems/1/plan/target/value", 5, "target of the experiment has 5"},
        Slip{"/sweeps/1/name", "Bytes", "\"Bytes\""},
        Slip{"/sweeps/0/systems/1/name", "every head, alone", "two systems"},
        Slip{"/sweeps/0/systems/0/plan/method", "magic", "magic"},
        Slip{"/sweeps/0/systems/0/plan/rank_step", 4, "\"rank_step\""},
        Slip{"/sweeps/0/systems/0/plan/sinkfree", false, "\"sinkfree\""},
        Slip{"/sweeps/0/systems/0/plan/rank", 0, "\"rank\""},
        Slip{"/sweeps/0/systems/0/plan/target", {{"kind", "share"}, {"value", .5}, {"of", 0}}, "target.of"},
        Slip{"/sweeps/0/systems/0/policy", {{"name", "snapkv"}, {"options", {{"sink", 2}}}}, "\"sink\""},
        Slip{"/sweeps/0/systems/0/policy", {{"name", "snapkv"}, {"options", {{"sinks", "train"}}}}, "train"},
        Slip{"/sweeps/0/systems/0/policy", {{"name", "snapkv share=.5"}}, "sweep"},
        Slip{"/sweeps/0/systems/0/policy", {{"name", "snapkv window=4"}, {"options", {{"window", 2}}}}, "twice"},
        Slip{"/sweeps/0/systems/0/planShare", {1, .5}, "policy on top"},
        Slip{"/sweeps/0/systems/0/refine", {{"step", 3}}, "\"step\""},
        Slip{"/sweeps/0/systems/0/refine", {{"steps", 0}}, "steps"},
        Slip{"/sweeps/0/systems/0",
             {{"name", "a policy"}, {"policy", {{"name", "fp8"}}}, {"refine", json::object()}},
             "no plan"},
        Slip{"/sweeps/0/systems/0/plan", "joint", "plan"}, Slip{"/sweeps/0/systems/0/plann", 1, "\"plann\""},
        Slip{"/sweeps/0/prompt", 16, "prompt"}, Slip{"/sweeps/0/systems/0/policy", {{"nam", "fp8"}}, "\"nam\""},
        Slip{"/sweeps/0/systems/0/policy", {{"name", "snapkv+fp9"}}, "fp9"}));

}  // namespace
}  // namespace kvista::test
