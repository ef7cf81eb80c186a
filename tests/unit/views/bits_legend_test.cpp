// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/bits_legend.h"

#include <gtest/gtest.h>

#include <QBuffer>
#include <QImage>
#include <QPainter>
#include <QSvgGenerator>

namespace kvista {
namespace {

QByteArray legend(double width) {
  QBuffer buffer;
  QSvgGenerator svg;
  svg.setOutputDevice(&buffer);
  svg.setSize({800, 20});
  QPainter painter(&svg);
  paintBitsLegend(painter, QRectF(0, 0, width, 20), 40, true);
  painter.end();
  return buffer.data();
}

TEST(BitsLegendTest, SaysLessWhereThereIsLessRoom) {
  for (const double width : {600.0, 460.0})
    for (const char* text : {"8 bit", "6 bit", "4 bit", "3 bit", "2 bit", "1 bit", "dropped"})
      EXPECT_TRUE(legend(width).contains(text)) << text << " in " << width;
  for (const char* text : {"1 bit", "dropped"}) EXPECT_TRUE(legend(300).contains(text)) << text;
  EXPECT_FALSE(legend(300).contains("8 bit"));
  EXPECT_FALSE(legend(190).contains("dropped"));
  EXPECT_TRUE(legend(190).contains("…"));
}

TEST(BitsLegendTest, NothingIsPaintedBeyondItsRow) {
  for (int width = 10; width < 640; width += 7) {
    QImage image(800, 20, QImage::Format_RGB32);
    image.fill(Qt::white);
    QPainter painter(&image);
    paintBitsLegend(painter, QRectF(0, 0, width, 20), 40, true);
    painter.end();
    const QImage beyond = image.copy(width + 1, 0, 800 - width - 1, 20);
    for (int y = 0; y < beyond.height(); ++y)
      for (int x = 0; x < beyond.width(); ++x) ASSERT_EQ(beyond.pixelColor(x, y), QColor(Qt::white)) << width;
  }
}

}  // namespace
}  // namespace kvista
