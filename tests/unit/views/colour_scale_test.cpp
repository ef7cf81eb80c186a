// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/colour_scale.h"

#include <gmock/gmock.h>

#include <QCheckBox>
#include <QColor>
#include <QDoubleSpinBox>
#include <QPainter>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>
#include <cmath>
#include <limits>
#include <numeric>

#include "views/matrix_image.h"
#include "views/range_editor.h"
#include "views/segmented_control.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

/// CIE 1976 lightness.
double lightness(QRgb colour) {
  const auto linear = [](int c) {
    const double share = c / 255.0;
    return share <= 0.04045 ? share / 12.92 : std::pow((share + 0.055) / 1.055, 2.4);
  };
  const double y = 0.2126 * linear(qRed(colour)) + 0.7152 * linear(qGreen(colour)) + 0.0722 * linear(qBlue(colour));
  return y > 0.008856 ? 116 * std::cbrt(y) - 16 : 903.3 * y;
}

TEST(ColourMapTest, LightnessAloneTellsValuesApart) {
  for (const ColourMap map : colourMaps()) {
    const ColourTable& table = colourTable(map, false);
    for (std::size_t i = 8; i < table.size(); i += 8)
      EXPECT_GT(lightness(table[i]), lightness(table[i - 8])) << colourMapName(map).toStdString();
    EXPECT_GT(lightness(table.back()) - lightness(table.front()), 60);
  }
}

/// What does not differ is as quiet as the panel around it, in both looks; the more it differs, the more it stands out.
TEST(ColourMapTest, DifferencesStandOutFromTheirGround) {
  for (const auto mode : {Theme::Mode::light, Theme::Mode::dark}) {
    Theme::instance().setMode(mode);
    const ColourTable& difference = colourTable(ColourMap::difference, false);
    const double ground = lightness(colours().panel.rgb()), outward = mode == Theme::Mode::light ? -1 : 1;
    EXPECT_NEAR(lightness(difference[128]), ground, 12);
    for (std::size_t i = 8; i < 128; i += 8) {
      EXPECT_GT(outward * (lightness(difference[i - 8]) - lightness(difference[i])), 0);
      EXPECT_GT(outward * (lightness(difference[255 - i + 8]) - lightness(difference[255 - i])), 0);
    }
    for (const std::size_t end : {0, 255}) EXPECT_GT(std::abs(lightness(difference[end]) - ground), 50);
  }
  Theme::instance().setMode(Theme::Mode::light);
}

TEST(ColourMapTest, ViridisIsViridis) {
  const ColourTable& table = colourTable(ColourMap::viridis, false);
  EXPECT_EQ(QColor(table.front()).name(), "#440154");
  EXPECT_EQ(QColor(table.back()).name(), "#fde725");
  // The published middle, #21918c, within what the eye can tell.
  EXPECT_NEAR(qRed(table[128]), 0x21, 4);
  EXPECT_NEAR(qGreen(table[128]), 0x91, 4);
  EXPECT_NEAR(qBlue(table[128]), 0x8c, 4);
}

/// The sides of a difference stay apart for eyes without red or green cones: blue against brown differ in blueness.
TEST(ColourMapTest, SidesOfADifferenceDifferWithoutRedAndGreen) {
  for (const auto mode : {Theme::Mode::dark, Theme::Mode::light}) {
    Theme::instance().setMode(mode);
    const ColourTable& table = colourTable(ColourMap::difference, false);
    for (std::size_t i = 0; i < 100; i += 4) {
      const auto blueness = [](QRgb colour) { return qBlue(colour) - (qRed(colour) + qGreen(colour)) / 2; };
      EXPECT_GT(blueness(table[i]) - blueness(table[255 - i]), 40) << i;
    }
  }
}

TEST(ColourMapTest, InvertedIsTurnedRound) {
  const ColourTable &plain = colourTable(ColourMap::cividis, false), &inverted = colourTable(ColourMap::cividis, true);
  EXPECT_TRUE(std::equal(plain.begin(), plain.end(), inverted.rbegin()));
}

TEST(ValueRangeTest, FitsBetweenPercentiles) {
  std::vector<float> values(1001);
  std::iota(values.begin(), values.end(), 0.0F);
  values.back() = 1e6F;
  EXPECT_GE(fitRange(values, 0, false).high, 1e6);
  const Range most = fitRange(values, 1, false);
  EXPECT_NEAR(most.low, 10, 50);
  EXPECT_NEAR(most.high, 990, 50);
}

TEST(ValueRangeTest, DegenerateValuesStillHaveARange) {
  std::vector<float> none, equal(5, 0.7F), zero(3, 0.0F);
  EXPECT_EQ(fitRange(none, 0, false), (Range{0, 1}));
  for (std::vector<float>* values : {&equal, &zero}) {
    const Range range = fitRange(*values, 0, false);
    EXPECT_LT(range.low, values->front());
    EXPECT_GT(range.high, values->front());
  }
}

TEST(ValueRangeTest, HistogramCountsEveryValueOnce) {
  EXPECT_THAT(histogram({0, 0.1F, 0.5F, 0.99F, 1, 2, -1}, {0, 1}, 4), ::testing::ElementsAre(2, 0, 1, 2));
}

TEST(ValueRangeTest, ValuesHaveFourDigits) {
  EXPECT_EQ(valueText(0.91268), "0.9127");
  EXPECT_EQ(valueText(-0.00213), "−0.0021");
  EXPECT_EQ(valueText(123.456), "123.5");
  EXPECT_EQ(valueText(std::nan("")), "not known");
  EXPECT_EQ(tickText(0.8, 0.2), "0.80");
}

TEST(MatrixImageTest, CellsSmallerThanAPixelAreAveraged) {
  // A chequerboard of black and white: from far it is grey, not one of the two.
  Matrix board{64, 64, {}};
  for (int i = 0; i < 64 * 64; ++i) board.values.push_back((i / 64 + i % 64) % 2 == 0 ? 0.0F : 1.0F);
  ColourTable table{};
  for (std::size_t i = 0; i < table.size(); ++i)
    table[i] = qRgb(static_cast<int>(i), static_cast<int>(i), static_cast<int>(i));
  QImage picture(16, 16, QImage::Format_RGB32);
  QPainter painter(&picture);
  MatrixImage(board, {}, {0, 1}, table).paint(painter, QRectF(0, 0, 16, 16), QRectF(0, 0, 64, 64), Qt::red, Qt::red);
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 16; ++x) EXPECT_NEAR(qRed(picture.pixel(x, y)), 128, 2);
}

TEST(MatrixImageTest, AnyPartFillsTheTarget) {
  const Matrix matrix{3, 3, {0, 0.5F, 1, 0.5F, 1, kUnknown, 1, 0, 0.5F}};
  const ColourTable& table = colourTable(ColourMap::viridis, false);
  QImage picture(30, 30, QImage::Format_RGB32);
  picture.fill(Qt::red);
  QPainter painter(&picture);
  MatrixImage(matrix, {2, 1, 0}, {0, 1}, table)
      .paint(painter, picture.rect(), QRectF(1, 1, 2, 2), Qt::white, Qt::white);
  EXPECT_EQ(picture.pixel(7, 7), table[255]);  // Rows and columns 1, 0 are in sight.
  EXPECT_EQ(picture.pixel(22, 7), table[128]);
  EXPECT_EQ(picture.pixel(29, 29), table[0]);
}

class RangeBarTest : public ::testing::Test {
 protected:
  RangeBarTest() {
    std::vector<float> values;
    for (int i = 0; i <= 100; ++i) values.push_back(static_cast<float>(i) / 100);
    scale.setValues(values, 0, false);
    bar.resize(RangeBar::kWidth, 300);
    bar.setRecord(scale.record());
    bar.show();
    QObject::connect(&bar, &RangeBar::rangeEdited, &bar, [this](Range range) {
      scale.fix(range);
      bar.setRecord(scale.record());
    });
  }
  RangeEditor* openEditor() {
    bar.edit();
    return bar.findChild<RangeEditor*>();
  }
  ColourScale scale;
  RangeBar bar;
};

TEST_F(RangeBarTest, AnEndIsDraggedAndTheScaleStays) {
  const int bottom = 300 - RangeBar::kFooter, middle = RangeBar::kMargin + (bottom - RangeBar::kMargin) / 2;
  QTest::mousePress(&bar, Qt::LeftButton, {}, QPoint(8, bottom));
  QTest::mouseMove(&bar, QPoint(8, (bottom + middle) / 2));
  QTest::mouseMove(&bar, QPoint(8, middle));
  QTest::mouseRelease(&bar, Qt::LeftButton, {}, QPoint(8, middle));
  EXPECT_NEAR(scale.range().low, 0.5, 0.02);
  EXPECT_EQ(scale.range().high, 1);
  EXPECT_EQ(bar.record().extent, (Range{0, 1}));
  EXPECT_FALSE(bar.findChild<RangeEditor*>()) << "a drag is no click";
}

TEST_F(RangeBarTest, TheEditorSetsNumbersFitsAndColours) {
  QSignalSpy fits(&bar, &RangeBar::fitRequested), colours(&bar, &RangeBar::coloursChosen);
  QTest::keyClick(&bar, Qt::Key_Return);
  auto* editor = bar.findChild<RangeEditor*>();
  ASSERT_TRUE(editor);
  const auto fields = editor->findChildren<QDoubleSpinBox*>();
  ASSERT_EQ(fields.size(), 2);
  auto* high = fields[0]->accessibleName() == "Highest value" ? fields[0] : fields[1];
  high->selectAll();
  QTest::keyClicks(high, "0.75");
  QTest::keyClick(high, Qt::Key_Tab);
  EXPECT_EQ(scale.range(), (Range{0, 0.75}));
  editor->findChild<QCheckBox*>()->click();
  ASSERT_EQ(colours.size(), 1);
  EXPECT_TRUE(colours.front().back().toBool());
  SegmentedControl *map = nullptr, *fit = nullptr;
  for (auto* control : editor->findChildren<SegmentedControl*>())
    (control->accessibleName() == "Fit" ? fit : map) = control;
  ASSERT_TRUE(map && fit);
  QTest::mouseClick(map->segment(QString::number(static_cast<int>(ColourMap::grey))), Qt::LeftButton);
  EXPECT_EQ(colours.back().front().value<ColourMap>(), ColourMap::grey);
  QTest::mouseClick(fit->segment("5"), Qt::LeftButton);
  ASSERT_EQ(fits.size(), 1);
  EXPECT_EQ(fits.front().front().toDouble(), 5);
}

TEST_F(RangeBarTest, DifferencesStayAboutZero) {
  scale.setValues({-0.2F, 0.1F}, 0, true);
  bar.setRecord(scale.record());
  RangeEditor* editor = openEditor();
  ASSERT_TRUE(editor);
  for (auto* field : editor->findChildren<QDoubleSpinBox*>())
    if (field->isEnabled()) field->setValue(0.5);
  EXPECT_EQ(scale.range(), (Range{-0.5, 0.5}));
}

}  // namespace
}  // namespace kvista
