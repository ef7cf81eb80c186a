// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/device_profiles.h"

#include <gtest/gtest.h>

namespace kvista::test {
namespace {

TEST(DeviceProfiles, MeasuredOnesComeFirstAndSayWhereTheyAreFrom) {
  const DeviceProfile builtIn = deviceProfiles().front();
  EXPECT_FALSE(isMeasured(builtIn));
  EXPECT_EQ(profileInWords(builtIn), "h200, built-in figures");
  useMeasuredProfiles({{"NVIDIA H200", 4.5e12, 6e14, 1e-5}});
  ASSERT_EQ(deviceProfiles().size(), 2U);
  EXPECT_EQ(deviceProfiles().front().name, "NVIDIA H200");
  EXPECT_TRUE(isMeasured(deviceProfiles().front()));
  EXPECT_EQ(profileInWords(deviceProfiles().front()), "NVIDIA H200, as measured by `kvista bench decode`");
  EXPECT_EQ((*findDeviceProfile("h200"))->bytesPerSecond, builtIn.bytesPerSecond);
  // One of the built-in name takes its place.
  useMeasuredProfiles({{"h200", 1e12, 1e14, 0}});
  ASSERT_EQ(deviceProfiles().size(), 1U);
  EXPECT_TRUE(isMeasured(deviceProfiles().front()));
  useMeasuredProfiles({});
  EXPECT_EQ(deviceProfiles().front().bytesPerSecond, builtIn.bytesPerSecond);
}

}  // namespace
}  // namespace kvista::test
