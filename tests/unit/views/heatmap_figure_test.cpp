// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <QBuffer>
#include <QImage>
#include <QPainter>
#include <QPdfWriter>
#include <QSvgGenerator>
#include <QSvgRenderer>
#include <functional>

#include "heatmap_cases.h"
#include "views/comparison_view.h"
#include "views/heatmap_view.h"
#include "views/navigator_view.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr QRectF kRect(0, 0, 640, 360);

/// A view's figure on every kind of paper.
class HeatmapFigureTest : public ::testing::Test {
 protected:
  ~HeatmapFigureTest() override { Theme::instance().setMode(Theme::Mode::light); }

  static QImage drawn(const std::function<void(QPainter&)>& paint) {
    QImage image(kRect.size().toSize(), QImage::Format_RGB32);
    image.fill(Qt::white);
    QPainter painter(&image);
    paint(painter);
    return image;
  }
  static void checkOn(const std::function<void(QPainter&)>& paint) {
    Theme::instance().setMode(Theme::Mode::light);
    const QImage light = drawn(paint);
    EXPECT_FALSE(light.allGray());
    EXPECT_EQ(light.pixel(2, 355), qRgb(255, 255, 255)) << "the ground is the paper's";
    Theme::instance().setMode(Theme::Mode::dark);
    EXPECT_EQ(drawn(paint), light) << "paper is light whatever the window is";

    QByteArray svg;
    {
      QBuffer buffer(&svg);
      QSvgGenerator generator;
      generator.setOutputDevice(&buffer);
      generator.setViewBox(kRect);
      QPainter painter(&generator);
      paint(painter);
    }
    EXPECT_TRUE(svg.contains("<text")) << "text stays text";
    QSvgRenderer reader(svg);
    EXPECT_TRUE(reader.isValid());
    QByteArray pdf;
    {
      QBuffer buffer(&pdf);
      buffer.open(QIODevice::WriteOnly);
      QPdfWriter writer(&buffer);
      writer.setResolution(96);
      QPainter painter(&writer);
      paint(painter);
    }
    EXPECT_TRUE(pdf.startsWith("%PDF"));
    EXPECT_GT(pdf.size(), 4000);
  }
};

TEST_F(HeatmapFigureTest, Heatmap) {
  HeatmapView view;
  view.setRecord(test::fourHeads());
  checkOn([&](QPainter& painter) { view.paintFigure(painter, kRect); });
  const QImage plain = drawn([&](QPainter& painter) { view.paintFigure(painter, kRect); });
  view.setSelection({0, 1});
  EXPECT_EQ(drawn([&](QPainter& painter) { view.paintFigure(painter, kRect); }), plain)
      << "what is selected is no part of it";
}

TEST_F(HeatmapFigureTest, Navigator) {
  NavigatorView view;
  view.setRecord({{test::fourHeads().matrix, {}}, {test::fourHeads().matrix, test::fourHeads().matrix}, "linear CKA"});
  checkOn([&](QPainter& painter) { view.paintFigure(painter, kRect); });
}

TEST_F(HeatmapFigureTest, Comparison) {
  ComparisonView view;
  view.setRecord({test::fourHeads(), test::fourHeads(), "Layer 3"});
  checkOn([&](QPainter& painter) { view.paintFigure(painter, kRect); });
}

}  // namespace
}  // namespace kvista
