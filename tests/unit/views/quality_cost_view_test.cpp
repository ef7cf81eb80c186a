// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/quality_cost_view.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QBuffer>
#include <QHelpEvent>
#include <QPainter>
#include <QSignalSpy>
#include <QSvgGenerator>
#include <QTest>
#include <QToolButton>
#include <QToolTip>
#include <cmath>

#include "views/segmented_control.h"
#include "views/theme.h"

namespace kvista {
namespace {

class QualityCostViewTest : public ::testing::Test {
 protected:
  QualityCostViewTest() {
    record.points = {{"best", "eighth", 0.125, 0.9, 0.002, true, true},
                     {"small", "", 0.0625, 1.2, 0.02, false, false},
                     {"beaten", "", 0.25, 0.5, 0.03, true, false}};
    record.others = {{"ReCalKV", {{0.2, 0.2}, {0.5, 0.02}}}};
    view.resize(400, 300);
    view.setRecord(record);
    view.show();
    QApplication::setActiveWindow(&view);
    view.setFocus();
  }
  QPoint place(int point) { return view.placeOf(point)->toPoint(); }

  QualityCostRecord record;
  QualityCostView view;
  QSignalSpy activated{&view, &QualityCostView::planActivated};
};

TEST_F(QualityCostViewTest, AClickBringsAPlanBack) {
  QTest::mouseClick(&view, Qt::LeftButton, {}, place(2) + QPoint(4, 4));
  ASSERT_EQ(activated.size(), 1);
  EXPECT_EQ(activated.front().front().toString(), "beaten");
  QTest::mouseClick(&view, Qt::LeftButton, {}, QPoint(390, 10));
  EXPECT_EQ(activated.size(), 1);
}

TEST_F(QualityCostViewTest, ArrowsGoByCostAndEnterBringsBack) {
  QTest::keyClick(&view, Qt::Key_Return);
  EXPECT_TRUE(activated.isEmpty()) << "nothing is chosen yet";
  QTest::keyClick(&view, Qt::Key_Right);
  QTest::keyClick(&view, Qt::Key_Return);
  EXPECT_EQ(activated.back().front().toString(), "small");
  QTest::keyClick(&view, Qt::Key_Right);
  QTest::keyClick(&view, Qt::Key_Return);
  EXPECT_EQ(activated.back().front().toString(), "best");
  QTest::keyClick(&view, Qt::Key_End);
  QTest::keyClick(&view, Qt::Key_Right);
  QTest::keyClick(&view, Qt::Key_Return);
  EXPECT_EQ(activated.back().front().toString(), "beaten");
}

TEST_F(QualityCostViewTest, APointOfASeriesSaysWhoseItIs) {
  // Of series alone the axis is as wide as they are: the first at its beginning, half a halving free behind the last.
  record = {{}, {{"ReCalKV", {{0.125, 0.001}, {0.25, 0.05}}}}, {}};
  view.setRecord(record);
  const auto askAt = [this](const QPoint& place) {
    QHelpEvent asked(QEvent::ToolTip, place, view.mapToGlobal(place));
    QApplication::sendEvent(&view, &asked);
    return QToolTip::text();
  };
  QString found;
  int first = view.width(), last = 0;
  for (int x = 0; x < view.width(); x += 4)
    for (int y = 0; y < view.height(); y += 8) {
      const QString words = askAt({x, y});
      if (words.isEmpty()) continue;
      found = words;
      first = std::min(first, x);
      last = std::max(last, x);
    }
  EXPECT_TRUE(found.startsWith("ReCalKV\n25")) << found.toStdString();
  EXPECT_TRUE(found.contains("4.0 times smaller") && found.contains("+5")) << found.toStdString();
  EXPECT_LT(first, 100);
  EXPECT_GT(last, view.width() / 2);
}

TEST_F(QualityCostViewTest, TimesSayWhichDeviceTheyAreOf) {
  record.timeOf = "NVIDIA H200, as measured";
  view.setRecord(record);
  QHelpEvent asked(QEvent::ToolTip, place(0), view.mapToGlobal(place(0)));
  QApplication::sendEvent(&view, &asked);
  EXPECT_TRUE(QToolTip::text().contains("of the uncompressed time (NVIDIA H200, as measured)"))
      << QToolTip::text().toStdString();
}

TEST_F(QualityCostViewTest, TheFrontDependsOnTheCost) {
  EXPECT_EQ(view.front(), (std::vector<int>{1, 0}));
  view.controls()->setParent(&view);
  QTest::mouseClick(view.findChild<SegmentedControl*>()->segment("time"), Qt::LeftButton);
  EXPECT_EQ(view.front(), (std::vector<int>{2, 0}));
  EXPECT_EQ(view.title(), "Quality and time");
  // The factors may be more than what they replace, or fewer.
  record.points[0].parameterShare = 1.25;
  record.points[2].parameterShare = 0.9;
  view.setRecord(record);
  QTest::mouseClick(view.findChild<SegmentedControl*>()->segment("parameters"), Qt::LeftButton);
  EXPECT_EQ(view.front(), (std::vector<int>{2, 0}));
  EXPECT_GT(view.placeOf(0)->x(), view.placeOf(2)->x());
  EXPECT_FALSE(view.placeOf(1)) << "not known";
  EXPECT_TRUE(view.describe(0).contains("125.0\u00A0% of the original's parameters")) << view.describe(0).toStdString();
}

TEST_F(QualityCostViewTest, HalvingsAndDecadesAreEquallyFar) {
  const double step = view.placeOf(0)->x() - view.placeOf(1)->x();
  EXPECT_NEAR(view.placeOf(2)->x() - view.placeOf(0)->x(), step, 1e-6);
  record.points[0].rise = 0.0002;
  record.points[1].rise = 0.2;
  record.points[2].rise = 0.02;
  view.setRecord(record);
  const double decade = view.placeOf(2)->y() - view.placeOf(1)->y();
  record.points[2].rise = 0.002;
  view.setRecord(record);
  EXPECT_NEAR(view.placeOf(2)->y() - view.placeOf(1)->y(), 2 * decade, 1e-6);
  // A rise within the noise lies at the lower edge, in sight.
  record.points[0].rise = -0.001;
  view.setRecord(record);
  EXPECT_GT(view.placeOf(0)->y(), view.placeOf(2)->y());
  EXPECT_LT(view.placeOf(0)->y(), 300);
}

TEST_F(QualityCostViewTest, MeasuredIsFilledAndEstimatesAreOpen) {
  const QImage picture = view.grab().toImage();
  EXPECT_EQ(picture.pixelColor(place(0)), colours().accent);
  EXPECT_EQ(picture.pixelColor(place(1)), colours().panel);
  EXPECT_TRUE(view.describe(0).contains("measured"));
  EXPECT_TRUE(view.describe(1).contains("~ +2.0"));
  EXPECT_TRUE(view.describe(1).contains("on the front"));
  EXPECT_FALSE(view.describe(2).contains("on the front"));
}

TEST_F(QualityCostViewTest, TheLookFollowsTheThemeAtOnce) {
  Theme::instance().setMode(Theme::Mode::dark);
  const QImage dark = view.grab().toImage();
  Theme::instance().setMode(Theme::Mode::light);
  EXPECT_EQ(dark.pixelColor(place(0)), Theme::dark().accent);
  EXPECT_EQ(view.grab().toImage().pixelColor(place(0)), Theme::light().accent);
}

TEST_F(QualityCostViewTest, NothingAndNonsenseAreHarmless) {
  view.setRecord({});
  view.grab();
  QTest::keyClick(&view, Qt::Key_Right);
  QTest::keyClick(&view, Qt::Key_Return);
  record.points[0].share = NAN;
  record.points[1].rise = INFINITY;
  record.points[2].share = -1;
  record.others[0].points = {{0, 1}, {NAN, NAN}};
  view.setRecord(record);
  EXPECT_TRUE(view.front().empty());
  EXPECT_FALSE(view.placeOf(0));
  view.grab();
  EXPECT_TRUE(activated.isEmpty());
}

TEST_F(QualityCostViewTest, OnPaperLabelsStandBesideWhatTheyName) {
  QBuffer buffer;
  QSvgGenerator svg;
  svg.setOutputDevice(&buffer);
  svg.setSize({400, 300});
  {
    QPainter painter(&svg);
    view.paintFigure(painter, QRectF(0, 0, 400, 300));
  }
  for (const char* text : {"ReCalKV", "eighth", "1/32", "share of the 16-bit cache"})
    EXPECT_TRUE(buffer.data().contains(text)) << text;
}

}  // namespace
}  // namespace kvista
