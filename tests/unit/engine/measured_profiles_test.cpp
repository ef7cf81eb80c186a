// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/measured_profiles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <fstream>

#include "tests/unit/demo_model.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using testing::HasSubstr;

class MeasuredProfilesTest : public testing::Test {
 protected:
  void SetUp() override { setenv("XDG_DATA_HOME", folder_.path().c_str(), 1); }
  void TearDown() override { unsetenv("XDG_DATA_HOME"); }
  TemporaryFolder folder_;
};

TEST_F(MeasuredProfilesTest, TheLatestComesFirstAndReplacesItsOlderSelf) {
  EXPECT_TRUE(readMeasuredProfiles().profiles.empty());
  const auto old = valueOf(saveMeasuredProfile({"NVIDIA H200", 4e12, 5e14, 1e-5}));
  EXPECT_EQ(old.filename(), "nvidia-h200.json");
  std::filesystem::last_write_time(old, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  valueOf(saveMeasuredProfile({"NVIDIA H100", 3e12, 4e14, 0}));
  MeasuredProfiles read = readMeasuredProfiles();
  ASSERT_EQ(read.profiles.size(), 2U);
  EXPECT_EQ(read.profiles[0].name, "NVIDIA H100");
  EXPECT_EQ(read.profiles[1].flopsPerSecond, 5e14);
  EXPECT_EQ(valueOf(saveMeasuredProfile({"NVIDIA H200", 4.5e12, 5e14, 1e-5})), old);
  read = readMeasuredProfiles();
  ASSERT_EQ(read.profiles.size(), 2U);
  EXPECT_TRUE(read.problems.empty());
}

TEST_F(MeasuredProfilesTest, FilesThatAreNoneAreNamedAndLeftOut) {
  const auto good = valueOf(saveMeasuredProfile({"good", 1e12, 1e14, 0}));
  for (const auto& [name, text, said] :
       {std::tuple{"a", "{", "a.json"},
        {"b", "[]", "does not hold a device's profile"},
        {"c", "{\"name\": \"\"}", "has no name"},
        {"d", "{\"name\": \"x\", \"bytesPerSecond\": \"fast\"}", "lacks the number bytesPerSecond"},
        {"e", "{\"name\": \"x\", \"bytesPerSecond\": 0, \"flopsPerSecond\": 1, \"launchSeconds\": 0}",
         "which no device does"}}) {
    const auto file = good.parent_path() / (std::string(name) + ".json");
    std::ofstream(file) << text;
    const MeasuredProfiles read = readMeasuredProfiles();
    ASSERT_EQ(read.profiles.size(), 1U);
    ASSERT_EQ(read.problems.size(), 1U) << text;
    EXPECT_THAT(read.problems[0], HasSubstr(said));
    EXPECT_THAT(read.problems[0], HasSubstr(file.string()));
    std::filesystem::remove(file);
  }
}

}  // namespace
}  // namespace kvista::test
