// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/error_view.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QSignalSpy>
#include <QTest>
#include <cmath>

#include "views/theme.h"

namespace kvista {
namespace {

ErrorRecord record() {
  ErrorRecord result;
  result.matrices = {{"keys", "K", {2, 3, {0.01F, 0.02F, 0.03F, 0.04F, 0.05F, NAN}}},
                     {"logits", "Q", {2, 2, {0.1F, 0.2F, 0.3F, 0.4F}}}};
  result.plans = {{"a", "first", 0.01, 0.01, false}, {"b", "", 0.01, 0.02, true}, {"c", "", -1, 0.5, false}};
  return result;
}

class ErrorViewTest : public ::testing::Test {
 protected:
  ErrorViewTest() {
    view.resize(900, 320);
    view.setRecord(record());
    view.show();
    QApplication::setActiveWindow(&view);
    view.setFocus();
  }
  /// Any place at which this cell is found.
  QPoint place(ErrorView::Cell cell) {
    for (int y = 0; y < view.height(); y += 4)
      for (int x = 0; x < view.width(); x += 4)
        if (view.cellAt(QPointF(x, y)) == cell) return {x, y};
    ADD_FAILURE() << "no such cell in sight";
    return {};
  }
  ErrorView view;
  QSignalSpy activated{&view, &ErrorView::cellActivated}, plans{&view, &ErrorView::planActivated},
      hovered{&view, &ErrorView::hovered};
};

TEST_F(ErrorViewTest, EveryCellCanBeFoundAndSaysWhatItIs) {
  EXPECT_EQ(view.describe({0, 1, 1}).toStdString(), "Layer 1 · K1 · keys · 0.05");
  EXPECT_EQ(view.describe({0, 1, 2}).toStdString(), "Layer 1 · K2 · keys · not measured");
  EXPECT_EQ(view.describe({1, 0, 1}).toStdString(), "Layer 0 · Q1 · logits · 0.2");
  QTest::mouseClick(&view, Qt::LeftButton, {}, place({1, 1, 0}));
  ASSERT_EQ(activated.size(), 1);
  EXPECT_EQ(activated.front(), (QList<QVariant>{1, 0, "logits"}));
}

TEST_F(ErrorViewTest, OneScaleForAllTables) {
  EXPECT_EQ(view.range().low, 0);
  EXPECT_GE(view.range().high, 0.4);
  const QImage picture = view.grab().toImage();
  EXPECT_NE(picture.pixel(place({0, 0, 0}) + QPoint(8, 8)), picture.pixel(place({1, 1, 1}) + QPoint(8, 8)));
}

TEST_F(ErrorViewTest, ArrowsWalkThroughTheTables) {
  for (const Qt::Key key : {Qt::Key_Down, Qt::Key_Down, Qt::Key_Right, Qt::Key_Right, Qt::Key_Right})
    QTest::keyClick(&view, key);
  EXPECT_EQ(hovered.back().front().toString(), view.describe({1, 1, 0}));
  QTest::keyClick(&view, Qt::Key_Left);
  EXPECT_EQ(hovered.back().front().toString(), view.describe({0, 1, 2}));
  QTest::keyClick(&view, Qt::Key_Return);
  EXPECT_EQ(activated.back(), (QList<QVariant>{1, 2, "keys"}));
}

TEST_F(ErrorViewTest, WhatWasPredictedExactlyLiesOnTheDiagonal) {
  ASSERT_TRUE(view.placeOf(0));
  EXPECT_DOUBLE_EQ(view.placeOf(0)->x(), view.placeOf(1)->x());
  EXPECT_LT(view.placeOf(1)->y(), view.placeOf(0)->y()) << "more was measured";
  EXPECT_FALSE(view.placeOf(2)) << "a prediction below nothing has no logarithm";
  QTest::mouseClick(&view, Qt::LeftButton, {}, view.placeOf(1)->toPoint());
  ASSERT_EQ(plans.size(), 1);
  EXPECT_EQ(plans.front().front().toString(), "b");
}

TEST_F(ErrorViewTest, PlansStayUnderTheMouseAtEverySize) {
  // Beside the tables, and below them in a narrow tall panel.
  for (const QSize& size : {QSize(900, 320), QSize(420, 240), QSize(440, 700)}) {
    view.resize(size);
    const QImage picture = view.grab().toImage();
    for (const int plan : {0, 1}) {
      ASSERT_TRUE(view.placeOf(plan));
      EXPECT_TRUE(QRectF(QPointF(), size).contains(*view.placeOf(plan)));
      EXPECT_EQ(view.planAt(*view.placeOf(plan)), plan);
      EXPECT_EQ(picture.pixelColor(view.placeOf(plan)->toPoint()), colours().accent);
      EXPECT_FALSE(view.cellAt(*view.placeOf(plan)));
    }
  }
  EXPECT_GT(view.placeOf(0)->y(), place({0, 1, 0}).y());
}

TEST_F(ErrorViewTest, NothingAndNonsenseAreHarmless) {
  view.setRecord({});
  view.grab();
  QTest::keyClick(&view, Qt::Key_Down);
  ErrorRecord odd = record();
  odd.matrices[0].errors.values.pop_back();
  odd.matrices[1].errors.values.assign(4, NAN);
  odd.plans.clear();
  view.setRecord(odd);
  view.grab();
  view.resize(100, 80);
  view.grab();
  EXPECT_TRUE(activated.isEmpty());
}

}  // namespace
}  // namespace kvista
