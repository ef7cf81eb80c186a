// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/plain_table.h"

#include <gtest/gtest.h>

#include <QLocale>
#include <cmath>

#include "views/comparison_view.h"
#include "views/evaluations_model.h"

namespace kvista {
namespace {

TEST(PlainTable, CommasQuotesAndLineEndsAreQuotedInCsvAndTabsAreGoneInTsv) {
  const PlainTable table{{"name", "value, exact"}, {{"a \"b\"", "1.5"}, {"two\nlines", ""}, {"a\tb", "2"}}};
  EXPECT_EQ(commaSeparated(table), "name,\"value, exact\"\n\"a \"\"b\"\"\",1.5\n\"two\nlines\",\na\tb,2\n");
  EXPECT_EQ(tabSeparated(table), "name\tvalue, exact\na \"b\"\t1.5\ntwo lines\t\na b\t2\n");
}

TEST(PlainTable, NumbersGiveAFloatBackAndKnowNoLocale) {
  const QLocale before;
  QLocale::setDefault(QLocale(QLocale::German));
  EXPECT_EQ(plainNumber(1234567.25), "1234567.25");
  QLocale::setDefault(before);
  EXPECT_EQ(plainNumber(0.1F).toFloat(), 0.1F);
  EXPECT_EQ(plainNumber(std::nan("")), "");
}

TEST(PlainTable, EvaluationsAreExactAndWhatIsNotKnownIsEmpty) {
  EvaluationsModel model;
  model.setRows({{"books.txt", {}, 8, 131072, 37.565685, 37.651234},
                 {"old.txt", "coded, by hand", 16, 0, 20, 25},
                 {"new.txt", {}, 4, 100, 20, {}, "snapkv share=0.25", 22}});
  const PlainTable table = plainTable(model, {0, 1, 2}, EvaluationsModel::plainRole);
  EXPECT_EQ(table.header,
            QStringList({"Text", "Smaller", "Tokens", "Original", "Plan", "Policy", "Under it", "Change"}));
  EXPECT_EQ(table.rows[0], QStringList({"books.txt", "this plan", "131072", "37.565685", "37.651234", "", "",
                                        plainNumber(37.651234 / 37.565685 - 1)}));
  EXPECT_EQ(table.rows[1], QStringList({"old.txt", "coded, by hand", "", "20", "25", "", "", "0.25"}));
  EXPECT_EQ(table.rows[2], QStringList({"new.txt", "this plan", "100", "20", "", "snapkv share=0.25", "22", "0.1"}))
      << "a policy over the original";
}

TEST(PlainTable, ComparedHeadsAreALineAPair) {
  ComparisonRecord record;
  record.left.matrix = {2, 2, {1, 0.5F, 0.5F, 1}};
  record.right.matrix = {2, 2, {1, 0.75F, NAN, 1}};
  record.left.title = "A";
  record.right.title = "B";
  ComparisonView view;
  EXPECT_TRUE(view.plainTable().rows.empty());
  view.setRecord(record);
  const PlainTable table = view.plainTable();
  EXPECT_EQ(table.header.mid(2), QStringList({"A", "B", "Difference"}));
  ASSERT_EQ(table.rows.size(), 4U);
  EXPECT_EQ(table.rows[1], QStringList({"K0", "K1", "0.5", "0.75", "0.25"}));
  EXPECT_EQ(table.rows[2], QStringList({"K1", "K0", "0.5", "", ""}));
}

}  // namespace
}  // namespace kvista
