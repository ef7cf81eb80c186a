// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/words.h"

#include <gtest/gtest.h>

#include <QCoreApplication>
#include <QFontMetrics>

#include "views/number_text.h"

namespace kvista {
namespace {

QString counted(const char* text, int count) { return QCoreApplication::translate("WordsTest", text, nullptr, count); }

TEST(Words, CountsAreSaidInEnglish) {
  EXPECT_EQ(counted("%n file(s), verified", 1), "1 file, verified");
  EXPECT_EQ(counted("%n file(s), verified", 3), "3 files, verified");
  EXPECT_EQ(counted("%n file(s), verified", 0), "0 files, verified");
  EXPECT_EQ(counted("%n on the front", 2), "2 on the front");
  EXPECT_EQ(QCoreApplication::translate("WordsTest", "f(s) without a count"), "f(s) without a count");
}

TEST(Words, WhatRoundsToZeroHasNoMinus) {
  EXPECT_EQ(decimalText(-0.004, 2), "0.00");
  EXPECT_EQ(decimalText(-0.006, 2), QStringLiteral("−0.01"));
  EXPECT_TRUE(changeText(-1e-9).startsWith(QLatin1String("+0.00")));
  EXPECT_TRUE(changeText(-0.002).startsWith(QStringLiteral("−0.2")));
}

TEST(Words, ANumberIsNeverCut) {
  const QFontMetrics metrics{QFont()};
  const QString rise = QStringLiteral("+7,941\u00a0%"), whole = rise + QStringLiteral(" · original 44.69");
  const auto at = [&](const QString& text) { return wholeWords(whole, metrics, metrics.horizontalAdvance(text)); };
  EXPECT_EQ(at(whole), whole);
  EXPECT_EQ(at(whole.chopped(1)), rise) << "a part goes as one";
  EXPECT_EQ(at(rise), rise);
  EXPECT_EQ(at(rise.chopped(1)), QString());
  const QString over = QStringLiteral("1,020 B over budget");
  EXPECT_EQ(wholeWords(over, metrics, metrics.horizontalAdvance(over.chopped(1))), QStringLiteral("1,020 B over…"));
  const QString of = QStringLiteral("of 8,192\u00a0B");
  EXPECT_EQ(wholeWords(of, metrics, metrics.horizontalAdvance(of) - 1), QString()) << "a word alone would say nothing";
  EXPECT_EQ(wholeWords({}, metrics, 0), QString());
}

}  // namespace
}  // namespace kvista
