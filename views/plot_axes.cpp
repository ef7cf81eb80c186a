// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/plot_axes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kLeft = 56, kTop = 28, kBottom = 48, kGap = 8;

}  // namespace

QRectF LogPlot::areaIn(const QRectF& outer, double right) { return outer.adjusted(kLeft, kTop, -right, -kBottom); }

void LogPlot::paintAxes(QPainter& painter) const {
  const Palette& look = colours();
  painter.setFont(textFont(TextRole::axis));
  const QFontMetricsF metrics(painter.font());
  const auto name = [](const std::function<QString(int)>& label, int decade) {
    return label ? label(decade) : powerText(decade);
  };
  double free = area.left() - kLeft;
  for (int decade = x.firstDecade(); decade <= x.lastDecade(); ++decade) {
    const double at = place(std::pow(10.0, decade), 1).x();
    painter.setPen(QPen(look.hairline, 1));
    painter.drawLine(QPointF(at, area.top()), QPointF(at, area.bottom()));
    const QString text = name(xLabel, decade);
    const double half = metrics.horizontalAdvance(text) / 2 + 2;
    if (at - half < free) continue;
    free = at + half + kGap;
    painter.setPen(look.soft);
    painter.drawText(QRectF(at - half, area.bottom() + 4, 2 * half, 16), Qt::AlignCenter, text);
  }
  free = area.bottom() + kBottom;
  for (int decade = y.firstDecade(); decade <= y.lastDecade(); ++decade) {
    const double at = place(1, std::pow(10.0, decade)).y();
    painter.setPen(QPen(look.hairline, 1));
    painter.drawLine(QPointF(area.left(), at), QPointF(area.right(), at));
    if (at + metrics.height() / 2 > free) continue;
    free = at - metrics.height() / 2 - 2;
    painter.setPen(look.soft);
    painter.drawText(QRectF(area.left() - kLeft, at - 8, kLeft - 8, 16), Qt::AlignRight | Qt::AlignVCenter,
                     name(yLabel, decade));
  }
  painter.setPen(look.soft);
  painter.drawText(QRectF(area.left(), area.bottom() + 22, area.width(), 18), Qt::AlignCenter, xName);
  painter.drawText(QRectF(area.left() - kLeft + 16, area.top() - kTop + 6, area.width() + kLeft, 16),
                   Qt::AlignLeft | Qt::AlignVCenter, yName);
}

QColor lineColour(std::size_t index) {
  const Palette& look = colours();
  const std::array all = {look.accent, look.warning, look.valueText, look.soft, look.text};
  return all[index % all.size()];
}

std::vector<double> spreadLabels(const std::vector<double>& wanted, double height, double low, double high) {
  std::vector<std::size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  std::vector<double> placed = wanted;
  double free = low;
  for (const std::size_t i : order) {
    placed[i] = std::max(placed[i], free);
    free = placed[i] + height;
  }
  // What was pushed out below goes up again, and pushes those above it.
  double limit = high;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    placed[*i] = std::min(placed[*i], limit);
    limit = placed[*i] - height;
  }
  return placed;
}

}  // namespace kvista
