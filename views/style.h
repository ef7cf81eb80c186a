// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QProxyStyle>

namespace kvista {

/// Controls in the look of look.md: hairlines, radius 6, one accent. They are drawn from `colours()`, so that another
/// look is a repaint and no more: a style sheet would lay out and polish every widget of the window again.
///
/// A widget says what it is by dynamic properties, before or after it is shown:
/// `primary` the button that goes on, `quiet` one without a frame, `link` one that looks like a word, `segment` with
/// `first` and `last` one of several side by side, `refused` a line whose text cannot be taken, `cell` a line within a
/// table; `headerPadding` (pixels) of a table sets how much air its headers have.
class Style final : public QProxyStyle {
  Q_OBJECT

 public:
  Style();
  using QProxyStyle::polish;
  void polish(QWidget* widget) override;
  void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                     const QWidget* widget) const override;
  void drawControl(ControlElement element, const QStyleOption* option, QPainter* painter,
                   const QWidget* widget) const override;
  void drawComplexControl(ComplexControl control, const QStyleOptionComplex* option, QPainter* painter,
                          const QWidget* widget) const override;
  [[nodiscard]] QSize sizeFromContents(ContentsType type, const QStyleOption* option, const QSize& contents,
                                       const QWidget* widget) const override;
  [[nodiscard]] QRect subControlRect(ComplexControl control, const QStyleOptionComplex* option, SubControl part,
                                     const QWidget* widget) const override;
  [[nodiscard]] QRect subElementRect(SubElement element, const QStyleOption* option,
                                     const QWidget* widget) const override;
  [[nodiscard]] int pixelMetric(PixelMetric metric, const QStyleOption* option, const QWidget* widget) const override;
  [[nodiscard]] int styleHint(StyleHint hint, const QStyleOption* option, const QWidget* widget,
                              QStyleHintReturn* answer) const override;
};

}  // namespace kvista
