// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/matrix_image.h"

#include <QPaintDevice>
#include <QPaintEngine>
#include <QPainter>
#include <algorithm>
#include <array>
#include <cmath>

namespace kvista {
namespace {

constexpr double kSignPitch = 8, kLeastRun = 6, kLeastHeight = 5;  // Pixels.

/// Every pixel the mean of four; a last odd row or column stands for itself.
QImage halved(const QImage& image) {
  QImage half((image.width() + 1) / 2, (image.height() + 1) / 2, image.format());
  for (int y = 0; y < half.height(); ++y) {
    const auto* above = reinterpret_cast<const QRgb*>(image.constScanLine(2 * y));
    const auto* below = reinterpret_cast<const QRgb*>(image.constScanLine(std::min(2 * y + 1, image.height() - 1)));
    auto* out = reinterpret_cast<QRgb*>(half.scanLine(y));
    for (int x = 0; x < half.width(); ++x) {
      const int left = 2 * x, right = std::min(2 * x + 1, image.width() - 1);
      const QRgb four[] = {above[left], above[right], below[left], below[right]};
      int alpha = 0, red = 0, green = 0, blue = 0;
      for (const QRgb one : four) {
        alpha += qAlpha(one);
        red += qRed(one);
        green += qGreen(one);
        blue += qBlue(one);
      }
      out[x] = qRgba((red + 2) / 4, (green + 2) / 4, (blue + 2) / 4, (alpha + 2) / 4);
    }
  }
  return half;
}

bool paintsPixels(const QPainter& painter) {
  return painter.paintEngine() && painter.paintEngine()->type() == QPaintEngine::Raster;
}

}  // namespace

MatrixImage::MatrixImage(const Matrix& matrix, const std::vector<int>& order, Range range, const ColourTable& colours) {
  if (matrix.isEmpty()) return;
  std::vector<std::size_t> from(static_cast<std::size_t>(matrix.columns));
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = order.empty() ? i : static_cast<std::size_t>(order[i]);
  QImage image(matrix.columns, matrix.rows, QImage::Format_ARGB32_Premultiplied);
  const auto low = static_cast<float>(range.low);
  const float scale = range.span() > 0 ? static_cast<float>(256 / range.span()) : 0.0F;
  // In steps without branches, which the compiler does several cells at a time.
  std::array<QRgb, 257> table{};  // The last, transparent: not known.
  std::copy(colours.begin(), colours.end(), table.begin());
  std::vector<float> value(from.size());
  std::vector<int> place(from.size());
  int highest = 0;
  for (int y = 0; y < matrix.rows; ++y) {
    const auto line = static_cast<std::size_t>(y);
    const std::size_t row = order.empty() ? line : static_cast<std::size_t>(order[line]);
    const float* values = matrix.values.data() + row * from.size();
    auto* out = reinterpret_cast<QRgb*>(image.scanLine(y));
    for (std::size_t x = 0; x < from.size(); ++x) value[x] = values[from[x]];
    for (std::size_t x = 0; x < from.size(); ++x) {
      const float scaled = (value[x] - low) * scale;
      const float bounded = scaled > 0 ? (scaled < 255 ? scaled : 255.0F) : 0.0F;  // NaN is 0 here, no undefined cast.
      place[x] = value[x] == value[x] ? static_cast<int>(bounded) : 256;
    }
    for (std::size_t x = 0; x < from.size(); ++x) {
      highest = std::max(highest, place[x]);
      out[x] = table[static_cast<std::size_t>(place[x])];
    }
  }
  hasUnknown_ = highest == 256;
  if (!hasUnknown_) image.reinterpretAsFormat(QImage::Format_RGB32);
  levels_.push_back(std::move(image));
}

void MatrixImage::paint(QPainter& painter, const QRectF& target, const QRectF& cells, const QColor& ground,
                        const QColor& hatch) const {
  if (isEmpty() || cells.isEmpty() || target.isEmpty()) return;
  if (hasUnknown_) paintHatch(painter, target, ground, hatch);
  const double toDevice =
      painter.device() ? painter.device()->devicePixelRatioF() * std::abs(painter.worldTransform().m11()) : 1.0;
  const double pixels = target.width() / cells.width() * toDevice;
  std::size_t level = 0;
  if (paintsPixels(painter))
    for (double size = pixels; size <= 0.5 && levels_[level].width() > 1; size *= 2) {
      if (++level == levels_.size()) levels_.push_back(halved(levels_.back()));
    }
  const double factor = 1.0 / static_cast<double>(1 << level);
  const QImage& image = levels_[level];
  // Whole pixels of the picture, clipped: a source with fractions would shift the edges of cells by up to a pixel.
  const QRectF wanted(cells.x() * factor, cells.y() * factor, cells.width() * factor, cells.height() * factor);
  const QRect whole = wanted.toAlignedRect() & image.rect();
  const double sx = target.width() / wanted.width(), sy = target.height() / wanted.height();
  const QRectF drawn(target.x() + (whole.x() - wanted.x()) * sx, target.y() + (whole.y() - wanted.y()) * sy,
                     whole.width() * sx, whole.height() * sy);
  painter.save();
  painter.setClipRect(target, Qt::IntersectClip);
  painter.setRenderHint(QPainter::SmoothPixmapTransform, pixels < 1);
  if (paintsPixels(painter)) {
    painter.drawImage(drawn, image, whole);
  } else {
    // Readers of SVG and PDF smooth what they enlarge: give them cells of many pixels.
    const int enlarge = std::clamp(2048 / std::max(whole.width(), 1), 1, 64);
    painter.drawImage(drawn,
                      image.copy(whole).scaled(whole.size() * enlarge, Qt::IgnoreAspectRatio, Qt::FastTransformation));
  }
  painter.restore();
}

void MatrixImage::paintSigns(QPainter& painter, const QRectF& target, const QRectF& cells, const Matrix& matrix,
                             const std::vector<int>& order, double least) const {
  if (isEmpty() || cells.isEmpty()) return;
  const double width = target.width() / cells.width(), height = target.height() / cells.height();
  if (height < kLeastHeight) return;
  const QRect places = cells.toAlignedRect() & levels_.front().rect();
  const auto head = [&](int place) { return order.empty() ? place : order[static_cast<std::size_t>(place)]; };
  for (int row = places.top(); row <= places.bottom(); ++row) {
    const auto isSigned = [&](int column) {
      return column <= places.right() && matrix.at(head(row), head(column)) < -least;
    };
    for (int first = places.left(), end = first; first <= places.right(); first = end + 1) {
      for (end = first; isSigned(end);) ++end;
      // A sign a cell, or of narrow cells one for several beside each other.
      const double wide = (end - first) * width;
      if (wide < kLeastRun) continue;
      const int count = width >= kSignPitch ? end - first : std::max(1, static_cast<int>(wide / kSignPitch));
      for (int sign = 0; sign < count; ++sign) {
        const QRectF place(target.x() + (first - cells.x()) * width + sign * wide / count,
                           target.y() + (row - cells.y()) * height, wide / count, height);
        const int column = first + static_cast<int>((sign + 0.5) * (end - first) / count);
        if (target.contains(place.center())) paintMinus(painter, place, levels_.front().pixelColor(column, row));
      }
    }
  }
}

void paintMinus(QPainter& painter, const QRectF& cell, const QColor& ground) {
  const double side = std::min(cell.width(), cell.height());
  const double length = std::round(std::clamp(0.4 * side, 4.0, 10.0)), thickness = side < 20 ? 1 : 2;
  const QPointF middle = cell.center();
  painter.fillRect(
      QRectF(std::round(middle.x() - length / 2), std::round(middle.y() - thickness / 2), length, thickness),
      wordsOn(ground));
}

void paintHatch(QPainter& painter, const QRectF& target, const QColor& ground, const QColor& hatch) {
  painter.fillRect(target, ground);
  painter.fillRect(target, QBrush(hatch, Qt::BDiagPattern));
}

}  // namespace kvista
