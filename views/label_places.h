// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPolygonF>
#include <QRectF>
#include <optional>
#include <vector>

namespace kvista {

/// Moves labels of this height, which want to stand at `wanted`, apart within `low` to `high`; the order of equal
/// wishes is kept.
std::vector<double> spreadLabels(const std::vector<double>& wanted, double height, double low, double high);

/// Finds places for names beside points, where they cover nothing.
class LabelPlaces {
 public:
  explicit LabelPlaces(const QRectF& within) : within_(within) {}
  void take(const QRectF& area) { taken_.push_back(area); }
  void takeLine(const QPolygonF& line);
  /// Where a name may stand if there is no better place, such as across a hairline.
  void avoid(const QRectF& area) { avoided_.push_back(area); }
  /// Takes one of the places about a point, whose mark is this large, for a label of this size; nothing where all are
  /// taken.
  std::optional<QRectF> takeBeside(const QPointF& point, double radius, const QSizeF& size);

 private:
  QRectF within_;
  std::vector<QRectF> taken_, avoided_;
};

}  // namespace kvista
