// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/label_places.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvista {

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

void LabelPlaces::takeLine(const QPolygonF& line) {
  for (qsizetype i = 1; i < line.size(); ++i) {
    const QPointF way = line[i] - line[i - 1];
    const int steps = 1 + static_cast<int>(std::hypot(way.x(), way.y()) / 4);
    for (int s = 0; s <= steps; ++s) {
      const QPointF at = line[i - 1] + way * s / steps;
      take(QRectF(at.x() - 2, at.y() - 2, 4, 4));
    }
  }
}

std::optional<QRectF> LabelPlaces::takeBeside(const QPointF& point, double radius, const QSizeF& size) {
  const double away = radius + 5, middleX = point.x() - size.width() / 2, middleY = point.y() - size.height() / 2;
  const double right = point.x() + away, left = point.x() - away - size.width();
  const double above = point.y() - radius - size.height(), below = point.y() + radius;
  const auto isFree = [](const QRectF& area, const std::vector<QRectF>& others) {
    return std::none_of(others.begin(), others.end(), [&](const QRectF& other) { return other.intersects(area); });
  };
  std::optional<QRectF> found;
  for (const QPointF& corner :
       {QPointF(right, middleY), QPointF(right, above), QPointF(left, below), QPointF(left, above),
        QPointF(right, below), QPointF(left, middleY), QPointF(middleX, above - 4), QPointF(middleX, below + 4)}) {
    const QRectF area(corner, size);
    if (!within_.contains(area) || !isFree(area, taken_)) continue;
    const bool isBest = isFree(area, avoided_);
    if (isBest || !found) found = area;
    if (isBest) break;
  }
  if (found) take(*found);
  return found;
}

}  // namespace kvista
