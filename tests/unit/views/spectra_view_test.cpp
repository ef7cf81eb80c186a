// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/spectra_view.h"

#include <gtest/gtest.h>

#include <QSignalSpy>
#include <QTest>
#include <QToolButton>
#include <cmath>

#include "views/segmented_control.h"

namespace kvista {
namespace {

SpectraRecord record() {
  SpectraRecord result;
  result.unit = "nats per token";
  SpectrumCurve halves{"K group 1", {}, 3};
  for (int i = 0; i < 10; ++i) halves.eigenvalues.push_back(static_cast<float>(std::pow(0.5, i)));
  SpectrumCurve large{"V0", {}, 0};
  for (int i = 0; i < 8192; ++i) large.eigenvalues.push_back(static_cast<float>(10.0 / (1 + i)));
  result.curves = {halves, large};
  return result;
}

class SpectraViewTest : public ::testing::Test {
 protected:
  SpectraViewTest() {
    view.resize(500, 320);
    view.setRecord(record());
    view.controls()->setParent(&view);
    view.show();
  }
  void showTails() { QTest::mouseClick(view.findChild<SegmentedControl*>()->segment("tails"), Qt::LeftButton); }
  SpectraView view;
};

TEST_F(SpectraViewTest, TailsAreHalfOfWhatIsDropped) {
  EXPECT_DOUBLE_EQ(view.valueAt(0, 3), 0.25);
  showTails();
  // After keeping 3 of 1, 1/2, 1/4, ... 1/512 there is 1/8 + ... + 1/512 left.
  EXPECT_NEAR(view.valueAt(0, 3), (0.25 - 1.0 / 512) / 2, 1e-12);
  EXPECT_EQ(view.valueAt(0, 10), 0);
}

TEST_F(SpectraViewTest, TheNoiseEdgeIsALineAcrossThePlotAndIsNamed) {
  const auto pixels = [&] {
    QImage image(view.size(), QImage::Format_RGB32);
    view.render(&image);
    return image;
  };
  const QImage without = pixels();
  EXPECT_FALSE(view.describe({0, 3}).contains(QStringLiteral("noise")));
  SpectraRecord noisy = record();
  noisy.curves[0].noiseEdge = 0.09;
  view.setRecord(noisy);
  const QString said = view.describe({0, 3});
  EXPECT_TRUE(said.endsWith(QStringLiteral("noise of the same energy would reach 0.09"))) << said.toStdString();
  EXPECT_NE(pixels(), without);
  showTails();
  EXPECT_FALSE(view.describe({0, 3}).contains(QStringLiteral("noise"))) << "tails are sums, which no edge bounds";
}

TEST_F(SpectraViewTest, CurvesAreThinnedToTwoPointsAUnitAndKeepTheirCourse) {
  const QPolygonF points = view.pointsOf(1, 300);
  EXPECT_LE(points.size(), 600);
  EXPECT_GT(points.size(), 150);
  EXPECT_EQ(points.front().x(), 1);
  EXPECT_EQ(points.back().x(), 8192);
  for (const QPointF& point : points) EXPECT_NEAR(point.x() * point.y(), 10, 1e-5) << "only what the curve has";
  EXPECT_EQ(view.pointsOf(0, 300).size(), 10) << "few directions are all there";
}

TEST_F(SpectraViewTest, CurvesEndWhereTheyMeetTheAxis) {
  SpectraRecord deep = record();
  deep.curves = {{"K0", {}, 0}};
  for (int i = 0; i < 12; ++i) deep.curves[0].eigenvalues.push_back(static_cast<float>(std::pow(100.0, -i)));
  view.setRecord(deep);
  // Nine decades and a little are shown: 1, 1e-2, ..., 1e-8 and half the way to 1e-10 less the tenth above 1.
  const QPolygonF points = view.pointsOf(0, 300);
  ASSERT_EQ(points.size(), 6);
  EXPECT_EQ(points[4].x(), 5);
  EXPECT_NEAR(std::log10(points[5].y()), -8.9, 1e-9);
  EXPECT_NEAR(std::log10(points[5].x()), std::log10(5) + 0.45 * std::log10(6.0 / 5), 1e-6);
}

TEST_F(SpectraViewTest, DirectionsThatCarryNothingTakeNoRoom) {
  SpectraRecord flat = record();
  flat.curves.pop_back();
  view.setRecord(flat);
  const auto spotAtTheEnd = [&]() -> std::optional<SpectraView::Spot> {
    for (int x = view.width(); x > 0; --x)
      for (int y = 0; y < view.height(); y += 4)
        if (const auto spot = view.spotAt(QPointF(x, y))) return spot;
    return std::nullopt;
  };
  EXPECT_EQ(spotAtTheEnd(), (SpectraView::Spot{0, 10}));
  flat.curves[0].eigenvalues.resize(5000, 0.0F);
  view.setRecord(flat);
  ASSERT_TRUE(spotAtTheEnd());
  EXPECT_LE(spotAtTheEnd()->direction, 11);
}

TEST_F(SpectraViewTest, SaysWhatIsUnderTheMouse) {
  QSignalSpy hovered(&view, &SpectraView::hovered);
  EXPECT_EQ(view.describe({0, 3}).toStdString(), "K group 1 · direction 3 of 10 · 0.25 nats per token");
  showTails();
  EXPECT_EQ(view.describe({0, 9}).toStdString(), "K group 1 · 9 of 10 directions kept · 0.0009766 nats per token lost");
  for (int y = 40; y < 280; y += 4)
    if (view.spotAt(QPointF(200, y))) {
      QTest::mouseMove(&view, {200, y});
      break;
    }
  ASSERT_FALSE(hovered.isEmpty());
  EXPECT_FALSE(hovered.back().front().toString().isEmpty());
  EXPECT_FALSE(view.spotAt({5, 5}));
}

TEST_F(SpectraViewTest, NothingAndNonsenseAreHarmless) {
  view.grab();
  view.setRecord({});
  view.grab();
  SpectraRecord odd = record();
  odd.curves[0].eigenvalues = {};
  odd.curves[1].eigenvalues = {NAN, 0, -1, INFINITY};
  odd.curves[1].rank = 99;
  view.setRecord(odd);
  view.grab();
  showTails();
  view.grab();
  EXPECT_TRUE(view.pointsOf(0, 100).isEmpty());
}

}  // namespace
}  // namespace kvista
