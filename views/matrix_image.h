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

 private:
  mutable std::vector<QImage> levels_;  ///< Each half the side of the one before; made when first needed.
  bool hasUnknown_ = false;
};

/// The pattern of what is not known or out of date, everywhere in these views.
void paintHatch(QPainter& painter, const QRectF& target, const QColor& ground, const QColor& hatch);

}  // namespace kvista
