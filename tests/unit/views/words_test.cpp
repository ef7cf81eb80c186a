// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/words.h"

#include <gtest/gtest.h>

#include <QCoreApplication>

namespace kvista {
namespace {

QString counted(const char* text, int count) {
  return QCoreApplication::translate("WordsTest", text, nullptr, count);
}

TEST(Words, CountsAreSaidInEnglish) {
  EXPECT_EQ(counted("%n file(s), verified", 1), "1 file, verified");
  EXPECT_EQ(counted("%n file(s), verified", 3), "3 files, verified");
  EXPECT_EQ(counted("%n file(s), verified", 0), "0 files, verified");
  EXPECT_EQ(counted("%n on the front", 2), "2 on the front");
  EXPECT_EQ(QCoreApplication::translate("WordsTest", "f(s) without a count"), "f(s) without a count");
}

}  // namespace
}  // namespace kvista
