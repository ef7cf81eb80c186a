// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/base/error.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "core/base/task.h"

namespace kvista {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(ErrorCode::invalidArgument, "The number is odd.", "Give an even one.", "detail");
  return value / 2;
}

Result<int> quarter(int value) {
  KVISTA_ASSIGN(const int once, half(value));
  KVISTA_ASSIGN(const int twice, half(once));
  return twice;
}

Result<void> checkQuarter(int value) {
  KVISTA_CHECK(quarter(value));
  return {};
}

Result<std::unique_ptr<int>> boxed(int value) {
  KVISTA_ASSIGN(int result, half(value));
  return std::make_unique<int>(result);
}

TEST(ErrorTest, EveryCodeHasItsOwnName) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code)
    names.insert(nameOf(static_cast<ErrorCode>(code)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorCode::internal) + 1);
  EXPECT_EQ(nameOf(ErrorCode::corruptFile), "corruptFile");
}

TEST(ErrorTest, FailCarriesWhatItWasGiven) {
  const auto result = half(3);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{ErrorCode::invalidArgument, "The number is odd.", "detail", "Give an even one."}));
}

TEST(ErrorTest, AssignPassesValuesAndErrorsOn) {
  EXPECT_EQ(quarter(12).value(), 3);
  EXPECT_EQ(quarter(6).error().message, "The number is odd.");
}

TEST(ErrorTest, AssignMovesWhatCannotBeCopied) {
  const auto sum = []() -> Result<int> {
    KVISTA_ASSIGN(const std::unique_ptr<int> a, boxed(4));
    KVISTA_ASSIGN(const std::unique_ptr<int> b, boxed(6));
    return *a + *b;
  };
  EXPECT_EQ(sum().value(), 5);
}

TEST(ErrorTest, CheckDropsTheValueAndPassesErrorsOn) {
  EXPECT_TRUE(checkQuarter(8));
  EXPECT_EQ(checkQuarter(2).error().code, ErrorCode::invalidArgument);
}

}  // namespace
}  // namespace kvista
