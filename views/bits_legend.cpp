// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/bits_legend.h"

#include <QCoreApplication>
#include <QFontMetricsF>
#include <QPainter>
#include <algorithm>
#include <vector>

#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kPatch = 10, kText = kPatch + 6, kColumn = 80, kGap = 16, kSmallGap = 8;

}  // namespace

QString bitsText(int width) {
  return width == 0 ? QCoreApplication::translate("BitsLegend", "dropped")
                    : QCoreApplication::translate("BitsLegend", "%n bit", nullptr, width);
}

void paintBitsLegend(QPainter& painter, const QRectF& row, double indent, bool coded) {
  const std::vector<int> widths = coded ? std::vector<int>{8, 6, 4, 3, 2, 1, 0} : std::vector<int>{16, 0};
  std::vector<QString> texts;
  for (const int width : widths) texts.push_back(bitsText(width));
  painter.setFont(textFont(TextRole::axis));
  const QFontMetricsF metrics(painter.font());
  double left = row.left() + indent, column = kColumn, gap = kGap;
  const auto lengthOf = [&](std::size_t i) {
    const double own = kText + metrics.horizontalAdvance(texts[i]);
    return i + 1 == texts.size() ? own : std::max(column, own + gap);
  };
  const auto fits = [&] {
    double right = left;
    for (std::size_t i = 0; i < texts.size(); ++i) right += lengthOf(i);
    return right <= row.right();
  };
  // In columns; one after the other; closer, from the edge on, and the unit said only once.
  if (!fits()) column = 0;
  if (!fits()) {
    left = row.left();
    gap = kSmallGap;
    for (std::size_t i = 0; i + 2 < texts.size(); ++i) texts[i] = countText(widths[i]);
  }
  for (std::size_t i = 0; i < texts.size() && left + kText < row.right(); ++i) {
    painter.fillRect(QRectF(left, row.center().y() - kPatch / 2, kPatch, kPatch), colours().bits(widths[i]));
    const QRectF box(left + kText, row.top(), row.right() - left - kText, row.height());
    painter.setPen(colours().soft);
    painter.drawText(box, Qt::AlignVCenter, metrics.elidedText(texts[i], Qt::ElideRight, box.width()));
    left += lengthOf(i);
  }
}

}  // namespace kvista
