// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QImage>
#include <QPainter>
#include <QRectF>
#include <vector>

#include "core/plan/layer_spectra.h"
#include "views/log_scale.h"

namespace kvista {

/// Spectra of all layers side by side, coloured by bits above the water and grey below. Keeps what does not change with
/// the water (how high every column of pixels is), so that a frame of a drag only colours columns.
class WaterlinePicture {
 public:
  /// The range of eigenvalues that is shown: whole of the falling part, at most nine decades.
  static LogScale rangeOf(const std::vector<LayerSpectra>& layers);

  /// Where layer `index` of `count` stands in a plot of this width, in the plot's units from its left.
  struct Span {
    double left = 0;
    double width = 0;
  };
  static Span spanOf(int index, int count, double plotWidth);

  /// Forgets the heights: the eigenvalues are others.
  void invalidate() { pixels_ = QSize(); }
  /// A picture of `pixels` device pixels; `line` is the eigenvalue at which the water stands.
  const QImage& image(const std::vector<LayerSpectra>& layers, const LogScale& scale, double line, QSize pixels);

  /// The same as polygons, at most two points a unit: for paper.
  static void paint(QPainter& painter, const std::vector<LayerSpectra>& layers, const LogScale& scale, double line,
                    const QRectF& plot);

 private:
  struct Column {
    std::uint32_t first = 0, end = 0;  // Directions; equal: background.
    int layer = 0;
    double top = 0;  // Device pixels from above.
  };
  void measureColumns(const std::vector<LayerSpectra>& layers, const LogScale& scale, QSize pixels);

  void fillRows(int from, int to);
  void fillColumn(int x);
  void smoothTops();

  QSize pixels_;
  LogScale scale_;
  std::vector<Column> columns_;
  std::vector<int> tops_;
  std::vector<QRgb> colours_, sunken_;  // Of every column above and below the water.
  QRgb ground_ = 0;
  int water_ = 0;  // First row below the water.
  QImage image_;
};

}  // namespace kvista
