// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QImage>
#include <QRectF>
#include <vector>

#include "core/plan/matrix.h"
#include "views/colour_map.h"
#include "views/value_range.h"

class QPainter;

namespace kvista {

/// A matrix as a picture of one pixel a cell, made once and then only scaled: what makes panning and zooming cheap.
class MatrixImage {
 public:
  MatrixImage() = default;
  /// `order`: which head stands at each place, of rows and columns alike; empty: as they come.
  MatrixImage(const Matrix& matrix, const std::vector<int>& order, Range range, const ColourTable& colours);

  [[nodiscard]] bool isEmpty() const { return levels_.empty(); }
  /// Draws the cells in `cells` (in cells, may have fractions) to fill `target`. Where a cell would be smaller than a
  /// pixel, averages are drawn. Unknown cells are hatched in `hatch` on `ground`.
  void paint(QPainter& painter, const QRectF& target, const QRectF& cells, const QColor& ground,
             const QColor& hatch) const;
  /// A minus sign on the cells whose value in `matrix` is below `-least`: of differences, one colour is as dark as the
  /// other. All as for the constructor and for `paint`; nothing where cells are too small for signs.
  void paintSigns(QPainter& painter, const QRectF& target, const QRectF& cells, const Matrix& matrix,
                  const std::vector<int>& order, double least) const;

 private:
  mutable std::vector<QImage> levels_;  ///< Each half the side of the one before; made when first needed.
  bool hasUnknown_ = false;
};

/// One such sign, dark or light as the ground asks for.
void paintMinus(QPainter& painter, const QRectF& cell, const QColor& ground);

/// The pattern of what is not known or out of date, everywhere in these views.
void paintHatch(QPainter& painter, const QRectF& target, const QColor& ground, const QColor& hatch);

}  // namespace kvista
