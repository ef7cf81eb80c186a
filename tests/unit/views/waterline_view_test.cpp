// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/waterline_view.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QBuffer>
#include <QMouseEvent>
#include <QPainter>
#include <QSignalSpy>
#include <QSvgGenerator>
#include <QTest>
#include <cmath>
#include <set>

#include "views/theme.h"

namespace kvista {
namespace {

/// 1, 0.1, ... in every layer: one direction a decade, the first two with bits.
WaterlineRecord record(int layers = 4) {
  WaterlineRecord result;
  for (int layer = 0; layer < layers; ++layer) {
    LayerSpectra spectra;
    for (int i = 0; i < 8; ++i) spectra.eigenvalues.push_back(static_cast<float>(std::pow(10.0, -i)));
    spectra.widths = {16, 16, 0, 0, 0, 0, 0, 0};
    result.layers.push_back(spectra);
  }
  result.level = 3e-2;
  result.coded = false;
  result.unit = "nats per token";
  return result;
}

class WaterlineViewTest : public ::testing::Test {
 protected:
  WaterlineViewTest() {
    view.resize(800, 400);
    view.setRecord(record());
    view.setHandleText("8.0 times smaller");
    view.show();
    QApplication::setActiveWindow(&view);
    view.setFocus();
  }
  QPoint onLine() const { return {300, static_cast<int>(std::lround(view.lineY()))}; }
  void press(QPoint place) { QTest::mousePress(&view, Qt::LeftButton, {}, place); }
  void move(QPoint place) {
    QMouseEvent event(QEvent::MouseMove, place, view.mapToGlobal(place), Qt::NoButton, Qt::LeftButton, Qt::NoModifier);
    QApplication::sendEvent(&view, &event);
  }
  void release(QPoint place) { QTest::mouseRelease(&view, Qt::LeftButton, {}, place); }

  WaterlineView view;
  QSignalSpy dragged{&view, &WaterlineView::levelDragged}, committed{&view, &WaterlineView::levelCommitted},
      cancelled{&view, &WaterlineView::dragCancelled}, activated{&view, &WaterlineView::layerActivated};
};

TEST_F(WaterlineViewTest, ADragFollowsTheHandAndIsOneEdit) {
  const QPoint start = onLine();
  press(start);
  for (int y = 1; y <= 40; ++y) move(start - QPoint(0, y));
  EXPECT_EQ(dragged.size(), 40);
  EXPECT_NEAR(view.lineY(), start.y() - 40, 1);
  EXPECT_GT(view.record().level, 3e-2);
  EXPECT_TRUE(committed.isEmpty());
  release(start - QPoint(0, 40));
  ASSERT_EQ(committed.size(), 1);
  EXPECT_DOUBLE_EQ(committed.front().front().toDouble(), view.record().level);
  EXPECT_DOUBLE_EQ(dragged.back().front().toDouble(), view.record().level);
}

TEST_F(WaterlineViewTest, TheHandleIsPartOfTheLine) {
  const QPoint grip = view.handle().center().toPoint();
  press(grip);
  move(grip + QPoint(0, 30));
  release(grip + QPoint(0, 30));
  EXPECT_EQ(committed.size(), 1);
  EXPECT_LT(view.record().level, 3e-2);
}

TEST_F(WaterlineViewTest, EscapeBringsLevelAndBandsBack) {
  press(onLine());
  move(onLine() + QPoint(0, 60));
  std::vector<LayerSpectra> lower = record().layers;
  for (LayerSpectra& layer : lower) layer.widths = {16, 16, 16, 0, 0, 0, 0, 0};
  view.setWater(view.record().level, lower);
  EXPECT_EQ(view.record().layers[2].widths[2], 16);
  QTest::keyClick(&view, Qt::Key_Escape);
  EXPECT_EQ(cancelled.size(), 1);
  EXPECT_DOUBLE_EQ(view.record().level, 3e-2);
  EXPECT_EQ(view.record().layers[2].widths[2], 0);
  release(onLine());
  EXPECT_TRUE(committed.isEmpty()) << "the button that is let go afterwards is no edit";
}

TEST_F(WaterlineViewTest, ThereAndBackIsNoEdit) {
  const QPoint start = onLine();
  press(start);
  move(start - QPoint(0, 25));
  move(start);
  view.setWater(123, record().layers);
  EXPECT_NE(view.record().level, 123) << "while it is dragged the level is the hand's";
  release(start);
  // A pixel is coarser than the level was: either nothing happened or the level is where that pixel is.
  EXPECT_EQ(committed.size() + cancelled.size(), 1);
  press(onLine());
  release(onLine());
  EXPECT_EQ(cancelled.size(), 1 + (committed.isEmpty() ? 1 : 0));
}

TEST_F(WaterlineViewTest, KeysMoveTheWaterAndAHeldKeyIsOneEdit) {
  QTest::keyPress(&view, Qt::Key_Up);
  QTest::keyPress(&view, Qt::Key_Up);
  QTest::keyPress(&view, Qt::Key_Up);
  EXPECT_EQ(dragged.size(), 3);
  EXPECT_TRUE(committed.isEmpty());
  QTest::keyRelease(&view, Qt::Key_Up);
  ASSERT_EQ(committed.size(), 1);
  const double fine = committed.back().front().toDouble() / 3e-2;
  EXPECT_GT(fine, 1);
  QTest::keyClick(&view, Qt::Key_PageDown);
  EXPECT_LT(committed.back().front().toDouble() / 3e-2, 1 / 1.3);
  QTest::keyPress(&view, Qt::Key_Down);
  QTest::keyClick(&view, Qt::Key_Escape);
  EXPECT_EQ(cancelled.size(), 1);
  QTest::keyPress(&view, Qt::Key_Down);
  view.clearFocus();
  EXPECT_EQ(committed.size(), 3) << "leaving ends the edit";
}

TEST_F(WaterlineViewTest, TheWaterStopsAtTheEdges) {
  press(onLine());
  move({300, -500});
  const double top = view.record().level;
  move({300, -900});
  EXPECT_DOUBLE_EQ(view.record().level, top);
  move({300, 5000});
  EXPECT_GT(view.record().level, 0);
  EXPECT_LT(view.lineY(), 400);
  for (const double level : {0.0, 1e-30, 1e30}) {
    release({300, 300});
    view.setRecord([&] {
      auto r = record();
      r.level = level;
      return r;
    }());
    EXPECT_GE(view.lineY(), 0);
    EXPECT_LE(view.lineY(), 400);
    EXPECT_TRUE(QRectF(view.rect()).contains(view.handle())) << level;
  }
}

TEST_F(WaterlineViewTest, CodedLineStandsWhereTheFirstBitIsWorthIt) {
  // One bit of a Gaussian saves 1 - 0.3634 of its variance, so a gain of 0.06366 a bit is an eigenvalue of 0.1.
  WaterlineRecord coded = record();
  coded.coded = true;
  coded.level = 0.1 * (1 - gaussianDistortion(1));
  view.setRecord(coded);
  const double atTenth = view.lineY();
  WaterlineRecord ranks = record();
  ranks.level = 0.1;
  view.setRecord(ranks);
  EXPECT_NEAR(view.lineY(), atTenth, 1e-6);
}

TEST_F(WaterlineViewTest, AClickSelectsTheLayerAndArrowsItsNeighbours) {
  const double slot = (800.0 - 48 - 16) / 4;
  QTest::mouseClick(&view, Qt::LeftButton, {}, QPoint(static_cast<int>(48 + 2.5 * slot), 20));
  ASSERT_EQ(activated.size(), 1);
  EXPECT_EQ(activated.back().front().toInt(), 2);
  EXPECT_TRUE(dragged.isEmpty());
  view.setCurrentLayer(2);
  QTest::keyClick(&view, Qt::Key_Right);
  EXPECT_EQ(activated.back().front().toInt(), 3);
  view.setCurrentLayer(3);
  QTest::keyClick(&view, Qt::Key_Right);
  EXPECT_EQ(activated.size(), 2) << "there is no layer 4";
}

TEST_F(WaterlineViewTest, ALayerWithoutACacheOfItsOwnSaysWhoseItReads) {
  WaterlineRecord shared = record();
  shared.layers[2] = {};
  view.setRecord(shared);
  const QImage silent = view.grab().toImage();
  shared.readsFrom = {0, 1, 1, 3};
  view.setRecord(shared);
  const QImage said = view.grab().toImage();
  std::set<int> columns;
  for (int y = 0; y < said.height(); ++y)
    for (int x = 0; x < said.width(); ++x)
      if (said.pixel(x, y) != silent.pixel(x, y)) columns.insert(x);
  const double slot = (800.0 - 48 - 16) / 4;
  ASSERT_FALSE(columns.empty());
  EXPECT_GT(*columns.begin(), 48 + 2 * slot);
  EXPECT_LT(*columns.rbegin(), 48 + 3 * slot);
}

TEST_F(WaterlineViewTest, ALayerOfTokenNumbersSaysSo) {
  WaterlineRecord numbered = record();
  numbered.layers[0] = {};
  view.setRecord(numbered);
  const QImage silent = view.grab().toImage();
  numbered.tokenNumbers = true;
  view.setRecord(numbered);
  const QImage said = view.grab().toImage();
  std::set<int> columns;
  for (int y = 0; y < said.height(); ++y)
    for (int x = 0; x < said.width(); ++x)
      if (said.pixel(x, y) != silent.pixel(x, y)) columns.insert(x);
  ASSERT_FALSE(columns.empty());
  EXPECT_GE(*columns.begin(), 48);
  EXPECT_LT(*columns.rbegin(), 48 + (800.0 - 48 - 16) / 4);
}

TEST_F(WaterlineViewTest, SaysWhatIsUnderTheMouse) {
  QSignalSpy hovered(&view, &WaterlineView::hovered);
  const double slot = (800.0 - 48 - 16) / 4;
  const QPoint place(static_cast<int>(48 + slot + 10 + (slot - 10) * 1.5 / 8), 350);
  QTest::mouseMove(&view, place);
  ASSERT_TRUE(view.spotAt(place));
  EXPECT_EQ(*view.spotAt(place), (WaterlineView::Spot{1, 1}));
  EXPECT_EQ(view.describe({1, 1}).toStdString(), "Layer 1 · direction 2 of 8 · 0.1 nats per token · 16 bit");
  EXPECT_EQ(view.describe({3, 7}).toStdString(), "Layer 3 · direction 8 of 8 · 1e-7 nats per token · dropped");
  EXPECT_FALSE(view.spotAt({10, 100}));
  EXPECT_FALSE(view.spotAt({300, 395}));
}

TEST_F(WaterlineViewTest, BandsAreColouredAboveTheWaterAndGreyBelow) {
  const QImage picture = view.grab().toImage();
  const double slot = (800.0 - 48 - 16) / 4;
  // First direction of layer 0: a bar as high as the plot.
  const int x = static_cast<int>(48 + 5 + (slot - 10) / 16), line = static_cast<int>(view.lineY());
  EXPECT_EQ(picture.pixelColor(x, line - 20), colours().bits8);
  EXPECT_NE(picture.pixelColor(x, line + 20), colours().bits8);
  EXPECT_NE(picture.pixelColor(x, line + 20), colours().panel);
  // Last direction: nothing but a ground above the water.
  const int last = static_cast<int>(48 + 5 + (slot - 10) * 15 / 16);
  EXPECT_EQ(picture.pixelColor(last, line - 20), colours().panel);
}

TEST(WaterlinePictureTest, ChangingAPictureGivesWhatPaintingItAnewGives) {
  std::vector<LayerSpectra> layers = record(3).layers;
  const LogScale scale = WaterlinePicture::rangeOf(layers);
  WaterlinePicture kept;
  for (const double line : {1e-2, 1e-4, 1e-4, 0.5, 3e-7, 1e-3}) {
    for (LayerSpectra& layer : layers)
      for (std::size_t i = 0; i < 8; ++i)
        layer.widths[i] = layer.eigenvalues[i] > 30 * line ? 8 : layer.eigenvalues[i] > line ? 2 : 0;
    WaterlinePicture fresh;
    EXPECT_EQ(kept.image(layers, scale, line, {240, 130}), fresh.image(layers, scale, line, {240, 130})) << line;
  }
  Theme::instance().setMode(Theme::Mode::dark);
  WaterlinePicture dark;
  EXPECT_EQ(kept.image(layers, scale, 1e-3, {240, 130}), dark.image(layers, scale, 1e-3, {240, 130}));
  Theme::instance().setMode(Theme::Mode::light);
}

TEST_F(WaterlineViewTest, NothingToShowIsSaidAndHarmless) {
  view.setRecord({});
  view.grab();
  QTest::keyClick(&view, Qt::Key_Up);
  QTest::mouseClick(&view, Qt::LeftButton, {}, QPoint(300, 200));
  EXPECT_TRUE(dragged.isEmpty());
  EXPECT_TRUE(activated.isEmpty());
  WaterlineRecord odd = record(2);
  odd.layers[0] = {};
  odd.layers[1].eigenvalues = {0, 0, -1};
  odd.layers[1].widths = {0, 0, 0};
  view.setRecord(odd);
  view.resize(90, 60);
  view.grab();
}

TEST_F(WaterlineViewTest, OnPaperItIsVectors) {
  QBuffer buffer;
  QSvgGenerator svg;
  svg.setOutputDevice(&buffer);
  svg.setSize({800, 400});
  {
    QPainter painter(&svg);
    view.paintFigure(painter, QRectF(0, 0, 800, 400));
  }
  EXPECT_TRUE(buffer.data().contains("layer 3"));
  EXPECT_TRUE(buffer.data().contains(colours().bits8.name().toUtf8()));
  EXPECT_FALSE(buffer.data().contains("<image"));
  EXPECT_TRUE(buffer.data().contains("8.0 times smaller"));
}

TEST_F(WaterlineViewTest, SortedTheDirectionsOfAllLayersAreOneFallingRow) {
  WaterlineRecord unlike = record(2);
  for (float& value : unlike.layers[1].eigenvalues) value /= 3;
  unlike.layers[1].widths = {16, 0, 0, 0, 0, 0, 0, 0};
  view.setRecord(unlike);
  view.setArrangement(WaterlineView::Arrangement::sorted);
  EXPECT_TRUE(view.remark().contains("sorted")) << view.remark().toStdString();
  const double left = 48, right = 800 - 16;
  double before = HUGE_VAL;
  std::set<std::pair<int, int>> seen;
  for (int place = 0; place < 16; ++place) {
    // Within the row's own margins.
    const double x = left + (right - left) * (0.012 + 0.976 * (place + 0.5) / 16);
    const auto spot = view.spotAt({x, 200});
    ASSERT_TRUE(spot) << place;
    const double value =
        unlike.layers[static_cast<std::size_t>(spot->layer)].eigenvalues[static_cast<std::size_t>(spot->direction)];
    EXPECT_LE(value, before) << place;
    before = value;
    seen.insert({spot->layer, spot->direction});
  }
  EXPECT_EQ(seen.size(), 16U) << "every direction of both layers once";
  EXPECT_EQ(view.spotAt({left + 30, 200}), (WaterlineView::Spot{0, 0}));
  EXPECT_TRUE(view.describe(*view.spotAt({left + 70, 200})).startsWith("Layer 1 · direction 1 of 8"));
}

TEST_F(WaterlineViewTest, TheWaterIsDraggedWhileSortedAsWell) {
  view.setArrangement(WaterlineView::Arrangement::sorted);
  const QImage still = view.grab().toImage();
  press(onLine());
  move(onLine() - QPoint(0, 40));
  std::vector<LayerSpectra> layers = record().layers;
  for (LayerSpectra& layer : layers) layer.widths = {16, 0, 0, 0, 0, 0, 0, 0};
  view.setWater(view.record().level, layers);
  release(onLine());
  EXPECT_EQ(committed.size(), 1);
  EXPECT_NE(view.grab().toImage(), still);
  view.setArrangement(WaterlineView::Arrangement::layer);
  EXPECT_EQ(view.spotAt({60, 200})->layer, 0);
}

/// WCAG 2.1.
double contrast(const QColor& a, const QColor& b) {
  const auto luminance = [](const QColor& colour) {
    const auto linear = [](double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); };
    return 0.2126 * linear(colour.redF()) + 0.7152 * linear(colour.greenF()) + 0.0722 * linear(colour.blueF());
  };
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

TEST_F(WaterlineViewTest, LineAndHandleStandOutFromEveryBandInBothLooks) {
  for (const auto mode : {Theme::Mode::light, Theme::Mode::dark}) {
    Theme::instance().setMode(mode);
    for (const int bits : {8, 4, 2, 1, 0}) {
      // One flat band all over the plot, with the water in its middle.
      WaterlineRecord flat = record(1);
      flat.layers[0].eigenvalues.assign(8, 1.0F);
      flat.layers[0].eigenvalues.back() = 1e-6F;
      flat.layers[0].widths.assign(8, static_cast<std::uint8_t>(bits));
      flat.level = 1e-3;
      view.setRecord(flat);
      const QImage picture = view.grab().toImage();
      const QRect handle = view.handle().toRect();
      const int y = static_cast<int>(std::lround(view.lineY()));
      // The text of the handle, by its own pixels: the colours that are furthest apart.
      const QColor ground = picture.pixelColor(handle.left() + 4, handle.center().y());
      double strongest = 0;
      for (int x = handle.left() + 6; x < handle.right() - 6; ++x)
        for (int row = handle.top() + 4; row < handle.bottom() - 3; ++row)
          strongest = std::max(strongest, contrast(picture.pixelColor(x, row), ground));
      EXPECT_GE(strongest, 4.5) << bits;
      // The line: somewhere near it a pixel that differs from the next by what graphics need (WCAG 1.4.11).
      double edge = 0;
      for (int row = y - 4; row < y + 4; ++row)
        edge = std::max(edge, contrast(picture.pixelColor(300, row), picture.pixelColor(300, row + 1)));
      EXPECT_GE(edge, 3) << bits << " bits, " << (mode == Theme::Mode::dark ? "dark" : "light");
    }
  }
  Theme::instance().setMode(Theme::Mode::light);
}

}  // namespace
}  // namespace kvista
