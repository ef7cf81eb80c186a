// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QRectF>

#include "views/heatmap_order.h"
#include "views/matrix_image.h"

class QPainter;

namespace kvista {

/// Space that the axes of a heatmap take, in pixels.
struct HeatmapAxes {
  double treeWidth = 0;   ///< 0: no dendrogram.
  double namesWidth = 0;  ///< Of the longest head's name at the left.
  double height = 24;     ///< Of the names at the top.

  static HeatmapAxes of(const HeatmapRecord& record, const Arrangement& arrangement);
  [[nodiscard]] double width() const { return treeWidth + namesWidth; }
};

/// What is drawn where: everything that the painters below need.
struct HeatmapPicture {
  const HeatmapRecord* record = nullptr;
  const Arrangement* arrangement = nullptr;
  const MatrixImage* image = nullptr;
  Range range;  ///< Of the colours.
  HeatmapAxes axes;
  QRectF cells;                                 ///< Where cells are drawn, in pixels; the axes are at its left and top.
  QRectF visible;                               ///< Which cells, in places of rows and columns; a square.
  std::vector<bool> strongRows, strongColumns;  ///< By head: names to be set off; empty: none.

  [[nodiscard]] double cellSize() const { return cells.width() / visible.width(); }
  [[nodiscard]] double x(double place) const { return cells.left() + (place - visible.left()) * cellSize(); }
  [[nodiscard]] double y(double place) const { return cells.top() + (place - visible.top()) * cellSize(); }
  /// The pixels of a block of cells, on whole pixels as the cells themselves are.
  [[nodiscard]] QRectF block(int row, int column, int rows, int columns) const;
};

/// The side of a square of at most `room` pixels in which `heads` cells get whole pixels, where they are not tiny.
double crispSide(double room, int heads);

/// Cells, group borders, names and dendrogram.
void paintHeatmap(QPainter& painter, const HeatmapPicture& picture);

}  // namespace kvista
