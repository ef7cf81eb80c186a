// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/sharing_map.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/unit/io/temporary_folder.h"

namespace kvista {
namespace {

TEST(SharingMap, ComesBackAsItWasAndNamesWhatIsWrong) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "map.json";
  ASSERT_TRUE(writeSharingMap(file, {{0, 0, 2, 2}, 0.93}));
  EXPECT_EQ(readSharingMap(file)->sharedFrom, (std::vector<int>{0, 0, 2, 2}));
  EXPECT_EQ(readSharingMap(file)->cosine, 0.93);
  ASSERT_TRUE(writeSharingMap(file, {{0, 1}, std::nullopt}));
  EXPECT_EQ(readSharingMap(file)->cosine, std::nullopt);
  for (const char* wrong : {"[0, 1]", "{}", R"({"sharedFrom": []})", R"({"sharedFrom": [0, -1]})",
                            R"({"sharedFrom": ["a"]})", R"({"sharedFrom": [70000]})"}) {
    std::ofstream(file) << wrong;
    const auto read = readSharingMap(file);
    ASSERT_FALSE(read) << wrong;
    EXPECT_THAT(read.error().message, ::testing::HasSubstr("has no list \"sharedFrom\" of layers"));
  }
}

}  // namespace
}  // namespace kvista
