// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <QPainter>
#include <QSignalSpy>
#include <QTest>

#include "heatmap_cases.h"
#include "views/comparison_view.h"
#include "views/theme.h"

namespace kvista {
namespace {

using ::testing::ElementsAre;

class ComparisonTest : public ::testing::Test {
 protected:
  ComparisonTest() {
    record.left = record.right = test::fourHeads();
    record.left.title = "dense";
    record.right.title = "compressed";
    record.right.matrix.values[2] -= 0.25F;  // 0 and 2: 0.9 -> 0.65
    record.right.matrix.values[8] -= 0.25F;
    view.resize(960, 360);
    view.setRecord(record);
    view.setOrder(HeatmapOrder::index);
    view.show();
  }
  [[nodiscard]] HeatmapCanvas* canvas(ComparisonView::Part part) const { return view.canvas(part); }
  [[nodiscard]] QPoint middleOf(ComparisonView::Part part, int row, int column) const {
    return canvas(part)->cellRect({row, column}).center().toPoint();
  }

  ComparisonRecord record;
  ComparisonView view;
};

constexpr ComparisonView::Part kParts[] = {ComparisonView::left, ComparisonView::right, ComparisonView::difference};

TEST_F(ComparisonTest, BothHaveOneRangeAndTheDifferenceItsOwnAboutZero) {
  EXPECT_LE(view.range().low, 0.11);
  EXPECT_GE(view.range().high, 0.9);
  EXPECT_EQ(view.differenceRange().low, -view.differenceRange().high);
  EXPECT_NEAR(view.differenceRange().high, 0.25, 0.05);
  EXPECT_FLOAT_EQ(canvas(ComparisonView::difference)->record().matrix.at(0, 2), -0.25F);
}

TEST_F(ComparisonTest, PointingAtOnePointsAtAllAndSaysAllThreeValues) {
  QSignalSpy hovered(&view, &ComparisonView::cellHovered);
  QTest::mouseMove(canvas(ComparisonView::right), middleOf(ComparisonView::right, 0, 2));
  for (const auto part : kParts) EXPECT_EQ(canvas(part)->hovered(), (HeadPair{0, 2}));
  ASSERT_FALSE(hovered.empty());
  EXPECT_EQ(hovered.back().front().toString(),
            "Layer 3 · K0 and K2 · linear CKA 0.9000 and 0.6500 · difference −0.2500");
}

/// The look changes at run time: what does not differ is then the dark ground's, but on paper white.
TEST_F(ComparisonTest, DifferencesFollowTheLookAndPaperIsLight) {
  record.right = record.left;
  record.right.matrix.values[2] += 0.25F;
  view.setRecord(record);
  const auto isDark = [&](const QImage& picture) {
    const QPoint cell = canvas(ComparisonView::difference)->mapTo(&view, middleOf(ComparisonView::difference, 1, 3));
    return picture.pixelColor(cell).lightness() < 100;
  };
  const auto paper = [&] {
    QImage picture(view.size(), QImage::Format_RGB32);
    picture.fill(Qt::white);
    QPainter painter(&picture);
    view.paintFigure(painter, QRectF(view.rect()).adjusted(16, 8, -16, 0));
    return picture;
  };
  EXPECT_FALSE(isDark(view.grab().toImage()));
  Theme::instance().setMode(Theme::Mode::dark);
  EXPECT_TRUE(isDark(view.grab().toImage()));
  EXPECT_FALSE(isDark(paper()));
  EXPECT_TRUE(isDark(view.grab().toImage())) << "as before the figure";
  Theme::instance().setMode(Theme::Mode::light);
}

TEST_F(ComparisonTest, SelectionAndZoomAreCommon) {
  QSignalSpy selected(&view, &ComparisonView::selectionChanged);
  QTest::mouseClick(canvas(ComparisonView::difference), Qt::LeftButton, {}, middleOf(ComparisonView::difference, 1, 3));
  for (const auto part : kParts) EXPECT_THAT(canvas(part)->selection().heads(), ElementsAre(1, 3));
  EXPECT_EQ(selected.size(), 1);
  QTest::keyClick(canvas(ComparisonView::left), Qt::Key_Plus);
  EXPECT_LT(canvas(ComparisonView::left)->visibleCells().width(), 4);
  for (const auto part : kParts) EXPECT_EQ(canvas(part)->visibleCells(), canvas(ComparisonView::left)->visibleCells());
}

TEST_F(ComparisonTest, AllAreInTheOrderOfTheLeftAndEachHasItsOwnGroups) {
  record.right.groups = {{0, 1, 2, 3}};
  view.setRecord(record);
  view.setOrder(HeatmapOrder::group);
  for (const auto part : kParts) EXPECT_THAT(canvas(part)->arrangement().headAt, ElementsAre(1, 3, 0, 2));
  EXPECT_EQ(canvas(ComparisonView::left)->arrangement().runs.size(), 2U);
  EXPECT_THAT(canvas(ComparisonView::right)->arrangement().runs, ElementsAre(Arrangement::Run{0, 0, 4}));
}

TEST_F(ComparisonTest, DifferentNumbersOfHeadsAreNotCompared) {
  record.right.matrix = {2, 2, {1, 0.5F, 0.5F, 1}};
  view.setRecord(record);
  for (const auto part : kParts) EXPECT_FALSE(canvas(part)->isVisible());
  view.grab();
  record.right.matrix = record.left.matrix;
  view.setRecord(record);
  for (const auto part : kParts) EXPECT_TRUE(canvas(part)->isVisible());
}

}  // namespace
}  // namespace kvista
