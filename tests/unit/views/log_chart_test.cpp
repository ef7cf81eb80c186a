// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/log_chart.h"

#include <gtest/gtest.h>

#include <QBuffer>
#include <QImage>
#include <QPainter>
#include <QSvgGenerator>
#include <cmath>

#include "views/label_places.h"
#include "views/number_text.h"

namespace kvista {
namespace {

constexpr QSize kSize(300, 200);

LogChart::Axis axis(const QString& name) { return {{0, 3}, name, QStringLiteral("nats per token"), powerText}; }

QImage imageOf(LogChart& chart) {
  QImage image(kSize, QImage::Format_RGB32);
  image.fill(Qt::white);
  QPainter painter(&image);
  chart.paint(painter, {});
  return image;
}

QByteArray svgOf(LogChart& chart) {
  QBuffer buffer;
  QSvgGenerator svg;
  svg.setOutputDevice(&buffer);
  svg.setSize(kSize);
  QPainter painter(&svg);
  chart.paint(painter, {});
  painter.end();
  return buffer.data();
}

QColor colourAt(const QImage& image, const QPointF& place) {
  return image.pixelColor(static_cast<int>(place.x()), static_cast<int>(place.y()));
}

class LogChartTest : public ::testing::Test {
 protected:
  LogChartTest() { chart.setAxes(kSize, 0, axis("predicted"), axis("measured")); }
  LogChart chart;
};

TEST_F(LogChartTest, PlacesAreLogarithmicAndWithinTheSize) {
  EXPECT_EQ(chart.place(1, 1), chart.area().bottomLeft());
  EXPECT_NEAR(chart.place(1000, 1).x(), chart.area().right(), 1e-9);
  EXPECT_NEAR(chart.place(10, 100).x(), chart.area().left() + chart.area().width() / 3, 1e-9);
  EXPECT_NEAR(chart.place(10, 100).y(), chart.area().top() + chart.area().height() / 3, 1e-9);
  EXPECT_TRUE(QRectF(QPointF(), kSize).contains(chart.area()));
}

TEST_F(LogChartTest, MarksAreWherePlacesAreAlsoAtTheEdge) {
  chart.setContent({}, {{{QPointF(1, 1), QPointF(50, 20), QPointF(1000, 1000)}, 9, Qt::red}}, {});
  for (int again = 0; again < 2; ++again) {
    const QImage image = imageOf(chart);
    for (const QPointF& center : {chart.place(1, 1), chart.place(50, 20), chart.place(1000, 1000)}) {
      for (const QPointF& within : {QPointF(-3, 0), QPointF(3, 0), QPointF(0, -3), QPointF(0, 3)})
        EXPECT_EQ(colourAt(image, center + within), QColor(Qt::red));
      for (const QPointF& beyond : {QPointF(-7, -3), QPointF(7, 3)})
        EXPECT_NE(colourAt(image, center + beyond), QColor(Qt::red));
    }
    chart.setAxes(kSize, 90, axis("predicted"), axis("measured"));  // Everything moves.
  }
}

TEST_F(LogChartTest, ALineThatComesLaterLiesBelowTheMarks) {
  const LogChart::Marks mark{{QPointF(30, 30)}, 9, Qt::red};
  const LogChart::Line line{{QPointF(1, 30), QPointF(1000, 30)}, QPen(Qt::blue, 3)};
  chart.setContent({}, {mark}, {});
  chart.setContent({line}, {mark}, {});
  const QImage image = imageOf(chart);
  EXPECT_EQ(colourAt(image, chart.place(30, 30)), QColor(Qt::red));
  EXPECT_EQ(colourAt(image, chart.place(100, 30)), QColor(Qt::blue));
  chart.setContent({}, {}, {});
  EXPECT_NE(colourAt(imageOf(chart), chart.place(100, 30)), QColor(Qt::blue));
}

TEST_F(LogChartTest, NamesThatDoNotFitLoseTheirUnitAndThenEndWithAnEllipsis) {
  EXPECT_TRUE(svgOf(chart).contains("predicted, nats per token"));
  chart.setAxes({100, 200}, 0, axis("predicted"), axis("measured"));
  EXPECT_TRUE(svgOf(chart).contains(">predicted<"));
  EXPECT_FALSE(svgOf(chart).contains("nats"));
  chart.setAxes({50, 200}, 0, axis("predicted"), axis("measured"));
  EXPECT_FALSE(svgOf(chart).contains("predicted"));
  EXPECT_TRUE(svgOf(chart).contains("…"));
  chart.setAxes(kSize, 0, axis("predicted"), axis("measured"));
  const QString whole = QStringLiteral("value group 7");
  chart.setContent({}, {},
                   {{QRectF(60, 50, LogChart::textWidth(whole), 15), whole, Qt::black},
                    {QRectF(60, 80, LogChart::textWidth(whole) / 2, 15), "key group 3", Qt::black}});
  EXPECT_TRUE(svgOf(chart).contains("value group 7"));
  EXPECT_FALSE(svgOf(chart).contains("key group 3"));
}

TEST_F(LogChartTest, NamesOfPowersNeverTouch) {
  LogChart::Axis many{{0, 60}, "x", {}, [](int power) { return QStringLiteral("power %1").arg(power); }};
  chart.setAxes(kSize, 0, many, many);
  const QByteArray svg = svgOf(chart);
  // 60 of them do not fit in 300 x 200 pixels: of those along x no more than width / length.
  const auto shown = svg.count("power");
  EXPECT_GT(shown, 4);
  EXPECT_LT(shown, kSize.width() / LogChart::textWidth("power 10") + kSize.height() / LogChart::kTextHeight);
}

TEST_F(LogChartTest, ALineOnPaperIsOnePath) {
  const auto before = svgOf(chart).count("<polyline") + svgOf(chart).count("<path");
  QPolygonF curve;
  for (int i = 0; i < 500; ++i) curve << QPointF(1 + i, 1 + std::abs(std::sin(i / 50.0)) * 500);
  chart.setContent({{curve, QPen(Qt::blue, 1.6)}}, {}, {});
  EXPECT_EQ(svgOf(chart).count("<polyline") + svgOf(chart).count("<path"), before + 1);
}

TEST(LabelPlacesTest, LabelsStandApartInTheirOrderWithinTheirRoom) {
  const std::vector<double> placed = spreadLabels({50, 52, 90, 95, 10}, 12, 0, 96);
  std::vector<double> sorted = placed;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 1; i < sorted.size(); ++i) EXPECT_GE(sorted[i] - sorted[i - 1], 12 - 1e-9);
  EXPECT_LE(sorted.back(), 96);
  EXPECT_EQ(placed[4], 10);
  EXPECT_LT(placed[0], placed[1]);
  EXPECT_LT(placed[2], placed[3]);
}

TEST(LabelPlacesTest, NamesBesidePointsCoverNothing) {
  LabelPlaces places(QRectF(0, 0, 200, 100));
  const QPolygonF line = {QPointF(0, 50), QPointF(200, 50)};
  places.takeLine(line);
  std::vector<QRectF> found;
  while (const auto place = places.takeBeside({100, 50}, 5, {40, 15})) {
    ASSERT_LT(found.size(), 20U);
    EXPECT_TRUE(QRectF(0, 0, 200, 100).contains(*place));
    EXPECT_FALSE(place->contains(QPointF(place->center().x(), 50))) << "the line is free";
    for (const QRectF& other : found) EXPECT_FALSE(place->intersects(other));
    found.push_back(*place);
  }
  EXPECT_GE(found.size(), 4U);
  EXPECT_FALSE(places.takeBeside({100, 50}, 5, {300, 15})) << "wider than the room";
}

TEST(LabelPlacesTest, NamesStandAcrossHairlinesOnlyWhereTheyMust) {
  const QRectF hairline(0, 49, 200, 2);
  LabelPlaces wide(QRectF(0, 0, 200, 100));
  wide.avoid(hairline);
  EXPECT_FALSE(wide.takeBeside({100, 50}, 5, {40, 15})->intersects(hairline));
  LabelPlaces low(QRectF(0, 40, 200, 20));
  low.avoid(hairline);
  EXPECT_TRUE(low.takeBeside({100, 50}, 5, {40, 15}));
}

}  // namespace
}  // namespace kvista
