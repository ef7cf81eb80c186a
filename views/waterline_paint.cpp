// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// How the waterline is drawn.
#include <QFontMetricsF>
#include <QPainter>
#include <algorithm>
#include <cmath>

#include "views/bits_legend.h"
#include "views/number_text.h"
#include "views/theme.h"
#include "views/waterline_view.h"

namespace kvista {
namespace {

constexpr double kSeam = 1.5;

}  // namespace

void WaterlineView::paintAxes(QPainter& painter, const Layout& layout, const QRectF& area) const {
  const Palette& look = colours();
  painter.setFont(textFont(TextRole::axis));
  const QFontMetricsF metrics(painter.font());
  painter.setPen(look.soft);
  double lastLabel = area.bottom() * 2;
  for (int decade = scale_.firstDecade(); decade <= scale_.lastDecade(); ++decade) {
    const double y = layout.plot.top() + (1 - scale_.part(std::pow(10.0, decade))) * layout.plot.height();
    if (lastLabel - y < metrics.height() + 2) continue;
    lastLabel = y;
    painter.drawText(QRectF(area.left(), y - kRow / 2, kLeft - 8, kRow), Qt::AlignRight | Qt::AlignVCenter,
                     powerText(decade));
  }
  const int count = static_cast<int>(rows().size());
  const double slot = layout.plot.width() / std::max(count, 1);
  const bool words = slot >= metrics.horizontalAdvance(tr("layer %1").arg(count)) + 8;
  const int every =
      words ? 1
            : std::max(1, static_cast<int>(std::ceil((metrics.horizontalAdvance(QStringLiteral("00")) + 6) / slot)));
  if (arrangement_ == Arrangement::sorted) {
    painter.drawText(QRectF(layout.plot.left(), layout.labels - kRow / 2, layout.plot.width(), kRow), Qt::AlignCenter,
                     tr("directions of all layers"));
  }
  for (int layer = 0; layer < count && arrangement_ == Arrangement::layer; ++layer) {
    const bool current = layer == record_.currentLayer;
    if (layer % every != 0 && !current) continue;
    // The current layer's label pushes its neighbours away.
    if (!current && every > 1 && std::abs(layer - record_.currentLayer) < every) continue;
    QFont font = textFont(TextRole::axis);
    if (current) font.setWeight(QFont::DemiBold);
    painter.setFont(font);
    painter.setPen(current ? look.accent : look.soft);
    const auto span = WaterlinePicture::spanOf(layer, count, layout.plot.width());
    painter.drawText(QRectF(layout.plot.left() + span.left + span.width / 2 - 40, layout.labels - kRow / 2, 80, kRow),
                     Qt::AlignCenter, words ? tr("layer %1").arg(layer) : QString::number(layer));
  }
  // A layer without a cache of its own, or with numbers of tokens for one, has no directions; it says why.
  painter.setFont(textFont(TextRole::axis));
  painter.setPen(look.soft);
  for (int layer = 0; layer < count && arrangement_ == Arrangement::layer; ++layer) {
    const auto index = static_cast<std::size_t>(layer);
    QStringList texts;  // The longest that fits is said.
    if (index < record_.readsFrom.size() && record_.readsFrom[index] != layer)
      texts << (words ? tr("as layer %1") : tr("= %1")).arg(record_.readsFrom[index]);
    else if (record_.tokenNumbers && layer == 0)
      texts << tr("numbers of tokens") << tr("numbers") << tr("%1 B").arg(kTokenNumberBytes);
    const auto text =
        std::ranges::find_if(texts, [&](const QString& each) { return metrics.horizontalAdvance(each) <= slot; });
    const QRectF place(layout.plot.left() + slot * layer, layout.plot.center().y() - kRow / 2, slot, kRow);
    if (text != texts.end()) painter.drawText(place, Qt::AlignCenter, *text);
  }
  painter.setFont(textFont(TextRole::axis));
  const double left = count > 0 ? WaterlinePicture::spanOf(0, count, layout.plot.width()).left : 0;
  const QRectF row(area.left() + kTop, layout.legend - kRow / 2, area.width() - 2 * kTop, kRow);
  paintBitsLegend(painter, row, layout.plot.left() + left - row.left(), record_.coded);
}

void WaterlineView::paintWater(QPainter& painter, const Layout& layout, bool interactive) const {
  const Palette& look = colours();
  const double y = lineYIn(layout);
  painter.setRenderHint(QPainter::Antialiasing);
  // Bands of bits may be as blue as the accent: a seam of the panel's colour sets line and handle off from all of them.
  const QLineF line(layout.plot.left() - 6, y, layout.plot.right(), y);
  const double width = before_ ? 2 : 1.5;
  painter.setPen(QPen(look.panel, width + 2 * kSeam));
  painter.drawLine(line);
  painter.setPen(QPen(look.accent, width));
  painter.drawLine(line);
  const QRectF grip = handleIn(layout);
  painter.setPen(Qt::NoPen);
  painter.setBrush(look.panel);
  painter.drawRoundedRect(grip.adjusted(-kSeam, -kSeam, kSeam, kSeam), 4 + kSeam, 4 + kSeam);
  painter.setBrush(look.accent);
  painter.drawRoundedRect(grip, 4, 4);
  if (interactive && hasFocus()) {
    painter.setPen(QPen(look.accent, 1.5));
    painter.setBrush(Qt::NoBrush);
    painter.drawRoundedRect(grip.adjusted(-3, -3, 3, 3), 6, 6);
  }
  QFont font = textFont(TextRole::axis);
  font.setWeight(QFont::DemiBold);
  painter.setFont(font);
  painter.setPen(look.onAccent);
  painter.drawText(grip, Qt::AlignCenter, handleText_);
}

void WaterlineView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  const Palette& look = colours();
  if (record_.layers.empty()) {
    painter.setPen(look.soft);
    painter.drawText(rect().adjusted(24, 24, -24, -24), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("No spectra yet: calibrate the model to see how many bits its layers need."));
    return;
  }
  const Layout layout = layoutIn(rect());
  const QRect plot = layout.plot.toRect();
  const QSize pixels = plot.size() * devicePixelRatioF();
  if (!pixels.isEmpty()) {
    const QImage& image = picture_.image(rows(), scale_, line(), pixels);
    painter.drawImage(plot, image);
  }
  paintAxes(painter, layout, rect());
  paintHover(painter, layout);
  paintWater(painter, layout, true);
}

void WaterlineView::paintHover(QPainter& painter, const Layout& layout) const {
  if (!hover_ || before_ || hover_->layer >= static_cast<int>(record_.layers.size())) return;
  const bool isSorted = arrangement_ == Arrangement::sorted;
  const int row = isSorted ? 0 : hover_->layer;
  const std::size_t index =
      isSorted
          ? sorted_.indexOf({static_cast<std::uint32_t>(hover_->layer), static_cast<std::uint32_t>(hover_->direction)})
          : static_cast<std::size_t>(hover_->direction);
  const auto& eigenvalues = rows()[static_cast<std::size_t>(row)].eigenvalues;
  if (index >= eigenvalues.size()) return;
  const auto span = WaterlinePicture::spanOf(row, static_cast<int>(rows().size()), layout.plot.width());
  const double part = std::clamp(scale_.part(static_cast<double>(eigenvalues[index])), 0.0, 1.0);
  const double x = layout.plot.left() + span.left +
                   span.width * (static_cast<double>(index) + 0.5) / static_cast<double>(eigenvalues.size());
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(colours().panel, 1.5));
  painter.setBrush(colours().text);
  painter.drawEllipse(QPointF(x, layout.plot.top() + (1 - part) * layout.plot.height()), 4, 4);
}

void WaterlineView::paintFigure(QPainter& painter, const QRectF& area) const {
  const Layout layout = layoutIn(area);
  WaterlinePicture::paint(painter, rows(), scale_, line(), layout.plot);
  paintAxes(painter, layout, area);
  paintWater(painter, layout, false);
}

}  // namespace kvista
