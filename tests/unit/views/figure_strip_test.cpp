// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/figure_strip.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QLocale>
#include <QSignalSpy>
#include <QTest>

#include "views/target_editor.h"
#include "views/theme.h"

namespace kvista {
namespace {

class FigureStripTest : public ::testing::Test {
 protected:
  FigureStripTest() {
    record.bytesPerToken = 2048;
    record.fullBytesPerToken = 16384;
    record.requestedBytes = 2048;
    record.target = Target{Target::Kind::share, 0.125};
    record.perplexity = 37.63;
    record.originalPerplexity = 37.57;
    record.timesFaster = 1.9;
    record.arithmeticShare = 0.41;
    record.device = "H200";
    record.context = 16384;
    record.plansTried = 7;
    record.plansOnFront = 3;
    strip.resize(1440, 64);
    strip.setRecord(record);
    strip.show();
    QApplication::setActiveWindow(&strip);
  }
  std::string said(int figure) const { return strip.text(figure).whole().replace(QChar(0x00A0), ' ').toStdString(); }
  TargetEditor* editor() { return strip.findChild<TargetEditor*>(); }
  void type(const char* text) {
    strip.editTarget();
    editor()->selectAll();
    QTest::keyClicks(editor(), text);
    QTest::keyClick(editor(), Qt::Key_Return);
  }

  FigureStripRecord record;
  FigureStrip strip;
  QSignalSpy entered{&strip, &FigureStrip::targetEntered};
};

TEST_F(FigureStripTest, SaysTheFiveFigures) {
  EXPECT_EQ(said(0), "2,048 B, of 16,384 B");
  EXPECT_EQ(said(1), "8.0 times, target 8.0");
  EXPECT_EQ(said(2), "~ 37.63, +0.2 % · original 37.57");
  EXPECT_EQ(strip.text(3).caption.toStdString(), "Decode at 16 K, H200");
  EXPECT_EQ(said(3), "1.9 times faster, rebuild 41 %");
  EXPECT_EQ(said(4), "7, 3 on the front");
}

TEST_F(FigureStripTest, WhatIsNotKnownIsNotShownAsANumber) {
  strip.setRecord({});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(said(i), "–");
}

TEST_F(FigureStripTest, MeasuredStaleSlowerAndOverBudget) {
  record.perplexityIsEstimate = false;
  record.timesFaster = 0.5;
  record.bytesPerToken = 2072;
  record.stale = true;
  strip.setRecord(record);
  EXPECT_EQ(said(2), "37.63, +0.2 % · original 37.57");
  EXPECT_EQ(said(3), "2.0 times slower, rebuild 41 %");
  for (const double same : {0.96, 1.0, 1.04}) {
    record.timesFaster = same;
    strip.setRecord(record);
    EXPECT_EQ(said(3), "as fast, rebuild 41 %") << same;
  }
  EXPECT_EQ(said(0), "2,072 B, 24 B over budget, of 16,384 B");
  EXPECT_TRUE(strip.text(2).stale);
  EXPECT_FALSE(strip.text(4).stale);
  // Not by colour alone, but by colour too.
  const QImage picture = strip.grab().toImage();
  bool warned = false;
  for (int x = 0; x < 288 && !warned; ++x)
    for (int y = 20; y < 60 && !warned; ++y) warned = picture.pixelColor(x, y) == colours().warning;
  EXPECT_TRUE(warned);
}

TEST_F(FigureStripTest, ATargetIsTypedIntoTheFigure) {
  type("2048 B");
  ASSERT_EQ(entered.size(), 1);
  EXPECT_EQ(entered.back().front().value<Target>(), (Target{Target::Kind::bytesPerToken, 2048}));
  EXPECT_FALSE(editor()->isVisible());
  type("16x");
  EXPECT_EQ(entered.back().front().value<Target>(), (Target{Target::Kind::share, 1.0 / 16}));
}

TEST_F(FigureStripTest, AClickOrF2OpensTheLine) {
  QTest::mouseClick(editor()->parentWidget(), Qt::LeftButton, {}, QPoint(60, 40));
  EXPECT_TRUE(editor()->isVisible());
  EXPECT_EQ(editor()->text(), "8.0 times smaller");
  QTest::keyClick(editor(), Qt::Key_Escape);
  EXPECT_FALSE(editor()->isVisible());
  EXPECT_TRUE(editor()->parentWidget()->hasFocus());
  QTest::keyClick(editor()->parentWidget(), Qt::Key_F2);
  EXPECT_TRUE(editor()->isVisible());
  QTest::keyClick(editor(), Qt::Key_Return);
  EXPECT_TRUE(entered.isEmpty()) << "the same as before is no edit";
  EXPECT_FALSE(editor()->isVisible());
}

TEST_F(FigureStripTest, BadInputStaysWithItsReason) {
  type("8 parsecs");
  EXPECT_TRUE(entered.isEmpty());
  EXPECT_TRUE(editor()->isVisible());
  EXPECT_EQ(editor()->text(), "8 parsecs");
  EXPECT_TRUE(editor()->reason().contains("no unit")) << editor()->reason().toStdString();
  QTest::keyClicks(editor(), "x");
  EXPECT_TRUE(editor()->reason().isEmpty());
}

TEST(TargetEditorTest, NumbersAreReadAsTheyAreShown) {
  const QLocale before;
  for (const auto& [locale, text, value] : {std::tuple{QLocale(QLocale::English), "2,048 B", 2048.0},
                                            {QLocale(QLocale::German), "2.048 B", 2048.0},
                                            {QLocale(QLocale::German), "12,5 B", 12.5},
                                            {QLocale(QLocale::English), "12.5 B", 12.5}}) {
    QLocale::setDefault(locale);
    const auto target = targetFromText(QString::fromUtf8(text));
    ASSERT_TRUE(target) << text;
    EXPECT_DOUBLE_EQ(target->value, value) << text;
    for (const Target& each : {Target{Target::Kind::share, 0.125}, Target{Target::Kind::bytesPerToken, 2048},
                               Target{Target::Kind::maxLoss, 0.025}, Target{Target::Kind::keptFraction, 0.4}}) {
      const auto again = targetFromText(targetText(each));
      ASSERT_TRUE(again) << targetText(each).toStdString();
      EXPECT_EQ(again->kind, each.kind);
      EXPECT_NEAR(again->value, each.value, 1e-9) << targetText(each).toStdString();
    }
  }
  QLocale::setDefault(before);
}

}  // namespace
}  // namespace kvista
