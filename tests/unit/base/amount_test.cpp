// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/base/amount.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace kvista::test {
namespace {

TEST(Amount, OneIsNoPlural) {
  EXPECT_EQ(amount(1, "window"), "1 window");
  EXPECT_EQ(amount(std::size_t{0}, "window"), "0 windows");
  EXPECT_EQ(amount(std::int64_t{512}, "predicted token"), "512 predicted tokens");
  EXPECT_EQ(amount(1, "query", "queries"), "1 query");
  EXPECT_EQ(amount(2, "query", "queries"), "2 queries");
}

}  // namespace
}  // namespace kvista::test
