// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/theme.h"

#include <QApplication>
#include <QFontDatabase>
#include <QPainter>
#include <QPalette>
#include <QToolTip>
#include <algorithm>

#include "views/style.h"

namespace kvista {
namespace {

QPalette qtPalette(const Palette& look) {
  QPalette result;
  result.setColor(QPalette::Window, look.window);
  result.setColor(QPalette::Base, look.panel);
  result.setColor(QPalette::AlternateBase, look.window);
  result.setColor(QPalette::Button, look.panel);
  result.setColor(QPalette::ToolTipBase, look.panel);
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::ToolTipText})
    result.setColor(role, look.text);
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
    result.setColor(QPalette::Disabled, role, look.faint);
  result.setColor(QPalette::PlaceholderText, look.soft);
  result.setColor(QPalette::Highlight, look.accent);
  result.setColor(QPalette::HighlightedText, look.onAccent);
  result.setColor(QPalette::Link, look.accent);
  result.setColor(QPalette::Light, look.panel);
  result.setColor(QPalette::Midlight, look.hairline);
  result.setColor(QPalette::Mid, look.hairline);
  result.setColor(QPalette::Dark, look.hairline);
  return result;
}

/// Of the desktop's own palette, whatever we have set.
bool isDesktopPaletteDark() {
  const QPalette ours = QApplication::palette();
  QApplication::setPalette(QPalette());
  const QPalette desktop = QApplication::palette();
  QApplication::setPalette(ours);
  return desktop.color(QPalette::WindowText).lightness() > desktop.color(QPalette::Window).lightness();
}

}  // namespace

QColor Palette::bits(int width) const {
  const auto between = [](const QColor& a, const QColor& b) {
    return QColor((a.red() + b.red()) / 2, (a.green() + b.green()) / 2, (a.blue() + b.blue()) / 2);
  };
  if (width >= 8) return bits8;
  if (width > 4) return between(bits8, bits4);
  if (width == 4) return bits4;
  if (width == 3) return between(bits4, bits2);
  if (width == 2) return bits2;
  return width == 1 ? bits1 : dropped;
}

const Palette& Theme::light() {
  static const Palette look = {false,     "#f4f5f7", "#ffffff", "#e2e5ea", "#18212e", "#5a6675", "#8d97a5",
                               "#2556d0", "#ffffff", "#e8eefc", "#b45309", "#e8eefc", "#1f47a8", "#e4f4ef",
                               "#136a52", "#123a6b", "#2563a8", "#4f9ad0", "#a6cfe8", "#dfe3e8"};
  return look;
}

const Palette& Theme::dark() {
  static const Palette look = {true,      "#12151a", "#191d24", "#2a303a", "#e7ebf1", "#a3adba", "#727d8c",
                               "#7aa2ff", "#0d1320", "#22304e", "#f0b35a", "#22304e", "#b5caff", "#1b3a33",
                               "#9fe0cb", "#b9dcf5", "#6fb1e4", "#3e7fb8", "#274f78", "#2b3038"};
  return look;
}

Theme& Theme::instance() {
  static Theme theme;
  return theme;
}

void Theme::install() {
  desktopPaletteDark_ = isDesktopPaletteDark();
  for (const char* weight : {"Regular", "Medium", "SemiBold"})
    QFontDatabase::addApplicationFont(QStringLiteral(":/fonts/Inter-%1.otf").arg(QLatin1String(weight)));
  QApplication::setStyle(new Style);
  QApplication::setFont(textFont(TextRole::body));
  apply();
}

void Theme::setMode(Mode mode) {
  mode_ = mode;
  apply();
}

void Theme::setDesktopDark(std::optional<bool> dark) {
  desktopDark_ = dark;
  if (wantsDark() != palette_->dark) apply();
}

void Theme::lookAtDesktop() {
  desktopPaletteDark_ = isDesktopPaletteDark();
  if (wantsDark() != palette_->dark) apply();
}

bool Theme::wantsDark() const {
  return mode_ == Mode::dark || (mode_ == Mode::system && desktopDark_.value_or(desktopPaletteDark_));
}

void Theme::apply() {
  palette_ = wantsDark() ? &dark() : &light();
  if (qApp) {
    const QPalette palette = qtPalette(*palette_);
    QApplication::setPalette(palette);
    QToolTip::setPalette(palette);
  }
  Q_EMIT changed();
}

Theme::Wearing::Wearing(const Palette& palette) : before_(instance().palette_) { instance().palette_ = &palette; }
Theme::Wearing::~Wearing() { instance().palette_ = before_; }

const Palette& colours() { return Theme::instance().palette(); }

QFont textFont(TextRole role) {
  QFont result(QStringLiteral("Inter"));
  result.setHintingPreference(QFont::PreferNoHinting);  // Hints would make equal figures unequally wide.
  result.setStyleStrategy(QFont::NoSubpixelAntialias);  // Figures go to other screens: no coloured edges.
  switch (role) {
    case TextRole::body:
      result.setPixelSize(13);
      break;
    case TextRole::strong:
      result.setPixelSize(13);
      break;
    case TextRole::title:
      result.setPixelSize(13);
      break;
    case TextRole::figure:
      result.setPixelSize(20);
      break;
    case TextRole::axis:
      result.setPixelSize(11);
      break;
  }
  if (role == TextRole::strong || role == TextRole::title || role == TextRole::figure)
    result.setWeight(QFont::DemiBold);
  return result;
}

void markPrimary(QWidget* button) {
  button->setProperty("primary", true);
  button->updateGeometry();  // Its text is wider.
  button->update();
}

void paintChosenMark(QPainter& painter, const QRect& row) {
  constexpr int kWidth = 3, kHeight = 16;
  const int height = std::min(kHeight, row.height() - 6);
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(Qt::NoPen);
  painter.setBrush(colours().accent);
  painter.drawRoundedRect(QRectF(row.left() + 1, row.top() + (row.height() - height) / 2.0, kWidth, height),
                          kWidth / 2.0, kWidth / 2.0);
  painter.restore();
}

void frameList(QFrame& list) {
  list.setFrameShape(QFrame::Box);
  list.setLineWidth(4);  // As far as the round corners reach inwards.
}

QString slotName(const Slot& slot) {
  return QStringLiteral("%1%2").arg(slot.side == Side::key ? QLatin1Char('K') : QLatin1Char('V')).arg(slot.head);
}

}  // namespace kvista
