// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <QScrollBar>
#include <QSignalSpy>
#include <QTest>

#include "heatmap_cases.h"
#include "views/navigator_strip.h"
#include "views/navigator_view.h"

namespace kvista {
namespace {

class NavigatorTest : public ::testing::Test {
 protected:
  void show(int layers) {
    NavigatorRecord record;
    record.keys.assign(static_cast<std::size_t>(layers), test::fourHeads().matrix);
    record.values = record.keys;
    view.resize(184, 640);
    view.setRecord(record);
    view.show();
  }
  void press(Qt::Key key) { QTest::keyClick(strip, key); }
  [[nodiscard]] std::pair<int, Side> current() const { return {view.currentLayer(), view.currentSide()}; }
  [[nodiscard]] bool isInSight(int layer) const {
    return strip->viewport()->rect().contains(strip->picture(layer, Side::key));
  }

  NavigatorView view;
  NavigatorStrip* strip = view.strip();
  QSignalSpy activated{&view, &NavigatorView::activated};
};

TEST_F(NavigatorTest, AFewLayersAllFit) {
  show(8);
  EXPECT_EQ(strip->verticalScrollBar()->maximum(), 0);
  for (int layer = 0; layer < 8; ++layer) EXPECT_TRUE(isInSight(layer)) << layer;
}

TEST_F(NavigatorTest, OnlyPicturesInSightAreMadeAndTheyAreKept) {
  show(80);
  strip->grab();
  const int made = strip->keptPictures();
  EXPECT_GT(made, 10);
  EXPECT_LT(made, 40);
  strip->grab();
  EXPECT_EQ(strip->keptPictures(), made);
  press(Qt::Key_End);
  strip->grab();
  EXPECT_GT(strip->keptPictures(), made);
}

TEST_F(NavigatorTest, ClickAndKeysGoToEveryLayerAndSide) {
  show(80);
  QTest::mouseClick(strip->viewport(), Qt::LeftButton, {}, strip->picture(2, Side::value).center());
  EXPECT_EQ(current(), (std::pair{2, Side::value}));
  press(Qt::Key_Down);
  press(Qt::Key_Left);
  press(Qt::Key_Left);
  EXPECT_EQ(current(), (std::pair{3, Side::key}));
  press(Qt::Key_End);
  EXPECT_EQ(current(), (std::pair{79, Side::key}));
  EXPECT_TRUE(isInSight(79));
  press(Qt::Key_Down);
  EXPECT_EQ(activated.size(), 4) << "nothing is said where nothing changes";
  press(Qt::Key_Home);
  EXPECT_TRUE(isInSight(0));
  EXPECT_EQ(activated.back().front().toInt(), 0);
}

TEST_F(NavigatorTest, ALayerThatArrivesIsDrawn) {
  show(2);
  NavigatorRecord record = strip->record();
  record.keys[1] = {};
  view.setRecord(record);
  const QRect place = strip->picture(1, Side::key).adjusted(8, 8, -8, -8);
  const QImage before = strip->viewport()->grab(place).toImage();
  view.setMatrix(1, Side::key, test::fourHeads().matrix);
  view.setMatrix(7, Side::key, test::fourHeads().matrix);
  EXPECT_NE(strip->viewport()->grab(place).toImage(), before);
  EXPECT_EQ(strip->record().layers(), 2);
}

TEST_F(NavigatorTest, AMatrixThatIsNotWholeCountsAsUnknown) {
  show(2);
  view.setMatrix(0, Side::key, Matrix{4, 4, {1, 2, 3}});
  view.setMatrix(1, Side::value, Matrix{2, 1, {1, 2}});
  EXPECT_TRUE(strip->record().matrix(0, Side::key).isEmpty());
  EXPECT_TRUE(strip->record().matrix(1, Side::value).isEmpty());
  view.grab();
}

TEST_F(NavigatorTest, BeingShownWhereOneIsSaysNothing) {
  show(80);
  view.setCurrent(60, Side::value);
  EXPECT_TRUE(isInSight(60));
  view.setCurrent(100, Side::key);
  EXPECT_EQ(current(), (std::pair{60, Side::value}));
  EXPECT_TRUE(activated.empty());
  EXPECT_TRUE(strip->accessibleName().startsWith("Layer 60 · values"));
}

}  // namespace
}  // namespace kvista
