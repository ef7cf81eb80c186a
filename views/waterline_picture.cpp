// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/waterline_picture.h"

#include <QPolygonF>
#include <algorithm>
#include <array>
#include <cmath>

#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kDecadesShown = 9;

/// The width that most of these directions have. Where both ends and the middle agree, what else may stand between them
/// is less.
std::uint8_t commonWidth(const LayerSpectra& layer, std::uint32_t first, std::uint32_t end) {
  const std::uint8_t width = layer.widths[first];
  if (width == layer.widths[end - 1] && width == layer.widths[first + (end - first) / 2]) return width;
  constexpr std::size_t kMostBits = 16;
  std::array<std::uint32_t, kMostBits + 1> counts{};
  for (std::uint32_t i = first; i < end; ++i) ++counts[std::min<std::size_t>(layer.widths[i], kMostBits)];
  return static_cast<std::uint8_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
}

QColor blend(const QColor& a, const QColor& b, double part) {
  return QColor::fromRgbF(static_cast<float>(a.redF() + (b.redF() - a.redF()) * part),
                          static_cast<float>(a.greenF() + (b.greenF() - a.greenF()) * part),
                          static_cast<float>(a.blueF() + (b.blueF() - a.blueF()) * part));
}

/// Below the water: what has bits a little fainter than what is dropped.
QColor sunkenColour(std::uint8_t width) {
  const Palette& look = colours();
  return width == 0 ? look.dropped : blend(look.dropped, look.panel, 0.4);
}

}  // namespace

LogScale WaterlinePicture::rangeOf(const std::vector<LayerSpectra>& layers) {
  double largest = 0, smallest = 0;
  for (const LayerSpectra& layer : layers) {
    const auto& values = layer.eigenvalues;
    if (values.empty()) continue;
    largest = std::max(largest, static_cast<double>(values.front()));
    // The last hundredth is often rounding noise; it may leave the picture.
    const auto end = std::partition_point(values.begin(), values.end(), [](float value) { return value > 0; });
    if (end == values.begin()) continue;
    const double low = values[static_cast<std::size_t>(static_cast<double>(end - values.begin() - 1) * 0.99)];
    smallest = smallest > 0 ? std::min(smallest, low) : low;
  }
  if (!(largest > 0)) return {};
  LogScale scale;
  scale.high = std::log10(largest) + 0.15;
  scale.low = std::max(std::log10(smallest), scale.high - kDecadesShown);
  scale.low = std::min(scale.low, scale.high - 1);
  return scale;
}

WaterlinePicture::Span WaterlinePicture::spanOf(int index, int count, double plotWidth) {
  const double slot = plotWidth / std::max(count, 1);
  const double gap = std::min(10.0, slot * 0.12);
  return {slot * index + gap / 2, slot - gap};
}

void WaterlinePicture::measureColumns(const std::vector<LayerSpectra>& layers, const LogScale& scale, QSize pixels) {
  pixels_ = pixels;
  scale_ = scale;
  const auto width = static_cast<std::size_t>(pixels.width());
  columns_.assign(width, {});
  tops_.assign(width, pixels.height());
  for (int index = 0; index < static_cast<int>(layers.size()); ++index) {
    const auto& values = layers[static_cast<std::size_t>(index)].eigenvalues;
    if (values.empty()) continue;
    const Span span = spanOf(index, static_cast<int>(layers.size()), pixels.width());
    const int left = static_cast<int>(std::lround(span.left));
    const int right = std::max(left + 1, static_cast<int>(std::lround(span.left + span.width)));
    const auto count = static_cast<std::int64_t>(values.size());
    for (int x = left; x < std::min(right, pixels.width()); ++x) {
      Column& column = columns_[static_cast<std::size_t>(x)];
      column.layer = index;
      column.first = static_cast<std::uint32_t>((x - left) * count / (right - left));
      column.end = std::max(column.first + 1, static_cast<std::uint32_t>((x - left + 1) * count / (right - left)));
      column.top = (1 - scale.part(values[column.first])) * pixels.height();
      tops_[static_cast<std::size_t>(x)] =
          static_cast<int>(std::clamp(std::ceil(column.top), 0.0, 1.0 * pixels.height()));
    }
  }
}

void WaterlinePicture::fillRows(int from, int to) {
  const int width = pixels_.width();
  const int* tops = tops_.data();
  const QRgb empty = ground_;
  for (int y = from; y < to; ++y) {
    auto* row = reinterpret_cast<QRgb*>(image_.scanLine(y));
    const QRgb* ink = y < water_ ? colours_.data() : sunken_.data();
    for (int x = 0; x < width; ++x) row[x] = y >= tops[x] ? ink[x] : empty;
  }
}

void WaterlinePicture::fillColumn(int x) {
  const auto index = static_cast<std::size_t>(x);
  for (int y = tops_[index]; y < pixels_.height(); ++y)
    reinterpret_cast<QRgb*>(image_.scanLine(y))[x] = y < water_ ? colours_[index] : sunken_[index];
}

void WaterlinePicture::smoothTops() {
  const QColor ground(ground_);
  for (std::size_t x = 0; x < columns_.size(); ++x) {
    const int y = tops_[x] - 1;
    const double covered = tops_[x] - columns_[x].top;
    if (columns_[x].first == columns_[x].end || y < 0 || !(covered > 0 && covered < 1)) continue;
    const QColor ink(y < water_ ? colours_[x] : sunken_[x]);
    reinterpret_cast<QRgb*>(image_.scanLine(y))[x] = blend(ground, ink, covered).rgb();
  }
}

const QImage& WaterlinePicture::image(const std::vector<LayerSpectra>& layers, const LogScale& scale, double line,
                                      QSize pixels) {
  const QRgb ground = colours().panel.rgb();
  bool anew = ground != ground_;
  if (pixels != pixels_ || !(scale == scale_)) {
    measureColumns(layers, scale, pixels);
    image_ = QImage(pixels, QImage::Format_RGB32);
    anew = true;
  }
  ground_ = ground;
  std::array<QRgb, 256> bits{}, sunken{};
  for (int b = 0; b < 256; ++b) {
    bits[static_cast<std::size_t>(b)] = colours().bits(b).rgb();
    sunken[static_cast<std::size_t>(b)] = sunkenColour(static_cast<std::uint8_t>(b)).rgb();
  }
  const std::vector<QRgb> before = colours_, sunkenBefore = sunken_;
  colours_.assign(columns_.size(), ground);
  sunken_.assign(columns_.size(), ground);
  for (std::size_t x = 0; x < columns_.size(); ++x) {
    const Column& column = columns_[x];
    if (column.first == column.end) continue;
    const std::uint8_t common = commonWidth(layers[static_cast<std::size_t>(column.layer)], column.first, column.end);
    colours_[x] = bits[common];
    sunken_[x] = sunken[common];
  }
  const int height = pixels.height(), waterBefore = water_;
  water_ = static_cast<int>(std::clamp(std::lround((1 - scale.part(line)) * height), 0L, static_cast<long>(height)));
  if (anew) {
    fillRows(0, height);
  } else {
    // What a drag changes: the rows that the water has passed, and the columns at the edges of bands.
    fillRows(std::min(waterBefore, water_), std::max(waterBefore, water_));
    for (std::size_t x = 0; x < columns_.size(); ++x)
      if (colours_[x] != before[x] || sunken_[x] != sunkenBefore[x]) fillColumn(static_cast<int>(x));
  }
  smoothTops();
  return image_;
}

void WaterlinePicture::paint(QPainter& painter, const std::vector<LayerSpectra>& layers, const LogScale& scale,
                             double line, const QRectF& plot) {
  const double water = std::clamp(plot.top() + (1 - scale.part(line)) * plot.height(), plot.top(), plot.bottom());
  painter.save();
  painter.setClipRect(plot);
  painter.setPen(Qt::NoPen);
  for (int index = 0; index < static_cast<int>(layers.size()); ++index) {
    const LayerSpectra& layer = layers[static_cast<std::size_t>(index)];
    const Span span = spanOf(index, static_cast<int>(layers.size()), plot.width());
    const auto count = static_cast<std::int64_t>(layer.eigenvalues.size());
    if (count == 0) continue;
    const std::int64_t columns = std::clamp<std::int64_t>(static_cast<std::int64_t>(2 * span.width), 1, count);
    const auto edge = [&](std::int64_t c) { return static_cast<std::uint32_t>(c * count / columns); };
    const auto flush = [&](std::int64_t from, std::int64_t to, std::uint8_t width) {
      QPolygonF shape;
      const auto x = [&](std::int64_t c) {
        return plot.left() + span.left + span.width * static_cast<double>(c) / static_cast<double>(columns);
      };
      shape << QPointF(x(from), plot.bottom());
      for (std::int64_t c = from; c < to; ++c) {
        const double y = plot.top() + std::clamp(1 - scale.part(layer.eigenvalues[edge(c)]), 0.0, 1.0) * plot.height();
        shape << QPointF(x(c), y) << QPointF(x(c + 1), y);
      }
      shape << QPointF(x(to), plot.bottom());
      for (const bool above : {true, false}) {
        painter.setClipRect(above ? QRectF(plot.topLeft(), QPointF(plot.right(), water))
                                  : QRectF(QPointF(plot.left(), water), plot.bottomRight()));
        painter.setBrush(above ? colours().bits(width) : sunkenColour(width));
        painter.drawPolygon(shape);
      }
    };
    std::int64_t start = 0;
    std::uint8_t width = commonWidth(layer, 0, edge(1));
    for (std::int64_t c = 1; c <= columns; ++c) {
      const std::uint8_t next =
          c < columns ? commonWidth(layer, edge(c), edge(c + 1)) : static_cast<std::uint8_t>(~width);
      if (next == width) continue;
      flush(start, c, width);
      start = c;
      width = next;
    }
  }
  painter.restore();
}

}  // namespace kvista
