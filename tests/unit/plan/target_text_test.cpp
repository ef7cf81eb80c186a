// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/target_text.h"

#include <gmock/gmock.h>

namespace kvista {
namespace {

using Kind = Target::Kind;
using ::testing::HasSubstr;

TEST(TargetTextTest, EveryWayToSayIt) {
  const std::vector<std::tuple<const char*, Kind, double>> cases = {
      {"8", Kind::share, 0.125},
      {"8x", Kind::share, 0.125},
      {" 8 times smaller ", Kind::share, 0.125},
      {"8×", Kind::share, 0.125},
      {"1", Kind::share, 1},
      {"1/8", Kind::share, 0.125},
      {"3/4", Kind::share, 0.75},
      {"12.5%", Kind::share, 0.125},
      {"12.5 % of the cache", Kind::share, 0.125},
      {"100%", Kind::share, 1},
      {"2048 B", Kind::bytesPerToken, 2048},
      {"2048bytes", Kind::bytesPerToken, 2048},
      {"2 kB", Kind::bytesPerToken, 2000},
      {"2 KiB", Kind::bytesPerToken, 2048},
      {"2% loss", Kind::maxLoss, 0.02},
      {"150 % LOSS", Kind::maxLoss, 1.5},
      {"40% kept", Kind::keptFraction, 0.4},
      {"1e1x", Kind::share, 0.1},
  };
  for (const auto& [text, kind, value] : cases) {
    const auto target = parseTarget(text);
    ASSERT_TRUE(target) << text << ": " << target.error().message;
    EXPECT_EQ(target->kind, kind) << text;
    EXPECT_NEAR(target->value, value, 1e-12) << text;
  }
}

TEST(TargetTextTest, SaysWhatIsWrong) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"", "There is no target"},
      {"   ", "There is no target"},
      {"eight", "does not begin with a number"},
      {"nan", "does not begin with a number"},
      {"inf", "does not begin with a number"},
      {"1e999", "does not begin with a number"},
      {"0", "must be above 0"},
      {"-8", "must be above 0"},
      {"0.5", "would be larger"},
      {"120%", "more than the whole cache"},
      {"101 % kept", "more than the whole cache"},
      {"8 parsecs", "'parsecs' is no unit"},
      {"1/0", "is no fraction"},
      {"1/", "is no fraction"},
      {"9/8", "does not lie above 0"},
      {"1/8x", "is no fraction"},
      {"8,5", "no unit"},
  };
  for (const auto& [text, message] : cases) {
    const auto target = parseTarget(text);
    ASSERT_FALSE(target) << text;
    EXPECT_THAT(target.error().message, HasSubstr(message)) << text;
    EXPECT_THAT(target.error().hint, HasSubstr("12.5%"));
  }
}

}  // namespace
}  // namespace kvista
