// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPainter>
#include <QRectF>
#include <functional>
#include <vector>

#include "views/log_scale.h"

namespace kvista {

/// A plot with logarithmic axes as all of ours look: no frame, hairlines at decades, names in words.
struct LogPlot {
  QRectF area;
  LogScale x, y;
  QString xName, yName;
  std::function<QString(int)> xLabel, yLabel;  ///< What a decade is called; null: powerText.

  /// Of a value pair; outside the axes it lies outside the area.
  [[nodiscard]] QPointF place(double xValue, double yValue) const {
    return {area.left() + x.part(xValue) * area.width(), area.bottom() - y.part(yValue) * area.height()};
  }
  /// What of `outer` is left for the plot.
  static QRectF areaIn(const QRectF& outer, double right);
  void paintAxes(QPainter& painter) const;
};

/// The colour of the n-th of a few lines, fit for its name too; they repeat after kLineColours, so that a line needs its
/// name beside it.
inline constexpr std::size_t kLineColours = 5;
QColor lineColour(std::size_t index);

/// Moves labels of this height, which want to stand at `wanted`, apart within `low` to `high`; the order of equal
/// wishes is kept.
std::vector<double> spreadLabels(const std::vector<double>& wanted, double height, double low, double high);

}  // namespace kvista
