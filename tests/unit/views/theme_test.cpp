// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/theme.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QFontInfo>
#include <QFontMetricsF>
#include <QTextBlock>
#include <QToolTip>
#include <cmath>

#include "views/colour_map.h"
#include "views/lab_table.h"
#include "views/token_loss_text.h"

namespace kvista {
namespace {

/// WCAG 2.1: relative luminance and contrast ratio.
double luminance(const QColor& colour) {
  const auto linear = [](double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); };
  return 0.2126 * linear(colour.redF()) + 0.7152 * linear(colour.greenF()) + 0.0722 * linear(colour.blueF());
}
double contrast(const QColor& a, const QColor& b) {
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

class BothLooks : public ::testing::TestWithParam<bool> {
 protected:
  const Palette& look = GetParam() ? Theme::dark() : Theme::light();
};
INSTANTIATE_TEST_SUITE_P(Look, BothLooks, ::testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Dark" : "Light"; });

TEST_P(BothLooks, EveryTextCanBeRead) {
  for (const QColor& ground : {look.window, look.panel})
    for (const QColor& text : {look.text, look.soft, look.accent, look.warning})
      EXPECT_GE(contrast(text, ground), 4.5) << text.name().toStdString() << " on " << ground.name().toStdString();
  EXPECT_GE(contrast(look.onAccent, look.accent), 4.5);
  EXPECT_GE(contrast(look.text, look.accentGround), 4.5);
  EXPECT_GE(contrast(look.soft, look.accentGround), 4.5);
  EXPECT_GE(contrast(look.accent, look.accentGround), 4.5);
  EXPECT_GE(contrast(look.keyText, look.keyGround), 4.5);
  EXPECT_GE(contrast(look.valueText, look.valueGround), 4.5);
}

/// What Qt's own widgets write with, on what they write it.
TEST_P(BothLooks, EveryTextOfQtsPaletteCanBeRead) {
  Theme::instance().setMode(GetParam() ? Theme::Mode::dark : Theme::Mode::light);
  using Role = QPalette::ColorRole;
  const std::pair<Role, std::vector<Role>> pairs[] = {
      {QPalette::WindowText, {QPalette::Window, QPalette::Base}},
      {QPalette::Text, {QPalette::Base, QPalette::AlternateBase, QPalette::Window}},
      {QPalette::ButtonText, {QPalette::Button, QPalette::Window}},
      {QPalette::HighlightedText, {QPalette::Highlight}},
      {QPalette::PlaceholderText, {QPalette::Base, QPalette::Window}},
      {QPalette::Link, {QPalette::Base, QPalette::Window}},
      {QPalette::ToolTipText, {QPalette::ToolTipBase}}};
  const QPalette palette = QApplication::palette();
  for (const auto group : {QPalette::Active, QPalette::Inactive})
    for (const auto& [text, grounds] : pairs)
      for (const Role ground : grounds)
        EXPECT_GE(contrast(palette.color(group, text), palette.color(group, ground)), 4.5)
            << "role " << text << " on role " << ground;
  const QPalette tip = QToolTip::palette();
  EXPECT_GE(contrast(tip.color(QPalette::ToolTipText), tip.color(QPalette::ToolTipBase)), 4.5);
  Theme::instance().setMode(Theme::Mode::light);
}

/// The strongest shade behind a token, over the panel.
TEST_P(BothLooks, TokensCanBeReadOnTheirLosses) {
  Theme::instance().setMode(GetParam() ? Theme::Mode::dark : Theme::Mode::light);
  TokenLossText text;
  text.setLosses({"dearer", "cheaper", "alike"}, {1, 9, 1}, {9, 1, 1});
  int shaded = 0;
  for (QTextBlock block = text.document()->begin(); block.isValid(); block = block.next())
    for (auto at = block.begin(); !at.atEnd(); ++at) {
      const QTextCharFormat format = at.fragment().charFormat();
      const QColor over =
          format.hasProperty(QTextFormat::BackgroundBrush) ? format.background().color() : QColor(Qt::transparent);
      shaded += over.alpha() > 0;
      const auto mixed = [&](float above, float below) { return over.alphaF() * above + (1 - over.alphaF()) * below; };
      const QColor ground =
          QColor::fromRgbF(mixed(over.redF(), look.panel.redF()), mixed(over.greenF(), look.panel.greenF()),
                           mixed(over.blueF(), look.panel.blueF()));
      EXPECT_GE(contrast(format.foreground().color(), ground), 4.5) << at.fragment().text().toStdString();
    }
  EXPECT_EQ(shaded, 2);
  Theme::instance().setMode(Theme::Mode::light);
}

TEST_P(BothLooks, WordsCanBeReadOnEveryColourOfAMap) {
  Theme::instance().setMode(GetParam() ? Theme::Mode::dark : Theme::Mode::light);
  for (const ColourMap map : {ColourMap::viridis, ColourMap::cividis, ColourMap::grey, ColourMap::difference})
    for (const QRgb colour : colourTable(map, false)) {
      EXPECT_GE(contrast(wordsOn(colour), QColor(colour)), 4.5)
          << colourMapId(map).toStdString() << ' ' << QColor(colour).name().toStdString();
    }
  LabModel table;
  for (int step = 0; step <= 32; ++step) {
    LabCell cell{"0.5"};
    cell.heat = step / 32.0;
    table.setTable({{{"keys"}}, {{cell}}});
    const auto colour = [&](int role) { return table.index(0, 0).data(role).value<QColor>(); };
    EXPECT_GE(contrast(colour(Qt::ForegroundRole), colour(Qt::BackgroundRole)), 4.5) << step;
  }
  Theme::instance().setMode(Theme::Mode::light);
}

TEST_P(BothLooks, BandsOfBitsDifferFromTheirNeighbours) {
  std::vector<QColor> bands;
  for (const int width : {8, 6, 4, 3, 2, 1, 0}) bands.push_back(look.bits(width));
  for (std::size_t i = 1; i < bands.size(); ++i)
    EXPECT_GE(contrast(bands[i - 1], bands[i]), 1.2) << bands[i].name().toStdString();
}

TEST(Theme, FiguresAreTabular) {
  const QFont inter = textFont(TextRole::figure);
  ASSERT_EQ(QFontInfo(inter).family(), "Inter");
  const QFontMetricsF metrics(inter);
  for (const char digit : {'0', '2', '4', '7', '8'})
    EXPECT_DOUBLE_EQ(metrics.horizontalAdvance(QLatin1Char(digit)), metrics.horizontalAdvance(QLatin1Char('1')))
        << digit;
}

TEST(Theme, PicturesForPaperAreLight) {
  Theme::instance().setMode(Theme::Mode::dark);
  {
    const Theme::Wearing paper(Theme::light());
    EXPECT_FALSE(colours().dark);
  }
  EXPECT_TRUE(colours().dark);
  Theme::instance().setMode(Theme::Mode::light);
}

}  // namespace
}  // namespace kvista
