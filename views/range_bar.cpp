// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/range_bar.h"

#include <QFontMetricsF>
#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "views/matrix_image.h"
#include "views/range_editor.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kBarWidth = 12, kNumbersWidth = 36, kHistogramWidth = 40, kGrip = 7;

double yOf(double value, const QRectF& bar, Range extent) {
  return extent.span() > 0 ? bar.bottom() - (value - extent.low) / extent.span() * bar.height() : bar.bottom();
}

void paintColours(QPainter& painter, const QRectF& bar, const RangeBarRecord& record) {
  const ColourTable& colours = colourTable(record.map, record.inverted);
  QImage strip(1, 256, QImage::Format_RGB32);
  for (int i = 0; i < 256; ++i) strip.setPixel(0, 255 - i, colours[static_cast<std::size_t>(i)]);
  const double low = std::round(yOf(record.range.low, bar, record.extent)),
               high = std::round(yOf(record.range.high, bar, record.extent));
  painter.fillRect(QRectF(bar.left(), bar.top(), bar.width(), high - bar.top()), QColor::fromRgb(colours.back()));
  painter.fillRect(QRectF(bar.left(), low, bar.width(), bar.bottom() - low), QColor::fromRgb(colours.front()));
  painter.drawImage(QRectF(bar.left(), high, bar.width(), low - high), strip);
  if (record.map == ColourMap::difference)  // As on the cells that are so.
    paintMinus(painter, QRectF(bar.left(), low - (low - high) / 8 - 6, bar.width(), 12), QColor::fromRgb(colours[32]));
}

/// The range's ends, and two numbers between them where they have room.
void paintNumbers(QPainter& painter, const QRectF& bar, const RangeBarRecord& record) {
  painter.setFont(textFont(TextRole::axis));
  const double low = yOf(record.range.low, bar, record.extent), high = yOf(record.range.high, bar, record.extent);
  // Zero is in the middle of differences, and said.
  const int most = record.map == ColourMap::difference ? 4 : 3;
  const int parts = low - high >= 120 ? most : low - high >= 36 ? 1 : 0;
  for (int i = 0; i <= std::max(parts, 1); ++i) {
    if (parts == 0 && i > 0) break;
    const double share = parts ? static_cast<double>(i) / parts : 0.5;
    const bool isEnd = parts == 0 || i == 0 || i == parts;
    painter.setPen(isEnd ? colours().text : colours().soft);
    const double y = std::round(low + share * (high - low));
    const double span = record.range.span();
    painter.drawText(
        QRectF(bar.right() + 6, y - 8, kNumbersWidth + 8, 16), Qt::AlignLeft | Qt::AlignVCenter,
        tickText(record.range.low + share * span, record.map == ColourMap::difference ? span / most : span));
  }
  // Where the range is narrower than the values: marks of its ends, to be dragged.
  painter.setPen(QPen(colours().text, 1));
  for (const double y : {low, high})
    if (y > bar.top() + 1 && y < bar.bottom() - 1)
      painter.drawLine(QPointF(bar.left() - 3, std::round(y)), QPointF(bar.right() + 3, std::round(y)));
}

void paintHistogram(QPainter& painter, const QRectF& bar, const RangeBarRecord& record) {
  if (record.counts.empty()) return;
  const int most = *std::max_element(record.counts.begin(), record.counts.end());
  if (most == 0) return;
  const double left = bar.right() + 6 + kNumbersWidth, pitch = bar.height() / static_cast<double>(record.counts.size());
  for (std::size_t i = 0; i < record.counts.size(); ++i) {
    if (record.counts[i] == 0) continue;
    const double top = std::round(bar.bottom() - static_cast<double>(i + 1) * pitch) + 1;
    const double bottom = std::round(bar.bottom() - static_cast<double>(i) * pitch);
    const double length = std::max(1.0, std::round(kHistogramWidth * record.counts[i] / most));
    painter.fillRect(QRectF(left, top, length, bottom - top), colours().hairline);
  }
}

}  // namespace

void paintRangeBar(QPainter& painter, const QRectF& bar, const RangeBarRecord& record) {
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing, false);
  const QRectF strip(bar.left(), bar.top(), kBarWidth, bar.height());
  paintColours(painter, strip, record);
  paintHistogram(painter, strip, record);
  paintNumbers(painter, strip, record);
  if (record.unknown > 0) {
    const QRectF swatch(bar.left(), bar.bottom() + 12, kBarWidth, 12);
    paintHatch(painter, swatch, colours().panel, colours().faint);
    painter.setPen(colours().soft);
    painter.setFont(textFont(TextRole::axis));
    painter.drawText(QRectF(swatch.right() + 6, swatch.center().y() - 8, RangeBar::kWidth - kBarWidth - 6, 16),
                     Qt::AlignLeft | Qt::AlignVCenter, RangeBar::tr("%Ln not known", nullptr, record.unknown));
  }
  painter.restore();
}

RangeBar::RangeBar(QWidget* parent) : QWidget(parent) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Expanding);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void RangeBar::setRecord(const RangeBarRecord& record) {
  record_ = record;
  setAccessibleName(tr("Colours from %1 to %2").arg(valueText(record.range.low), valueText(record.range.high)));
  setAccessibleDescription(tr("Enter changes the range and the colours"));
  update();
}

QSize RangeBar::sizeHint() const { return {kWidth, 240}; }

QRectF RangeBar::bar() const { return {4, kMargin, kBarWidth, std::max(1.0, height() - kMargin - kFooter * 1.0)}; }

RangeBar::End RangeBar::endAt(double y) const {
  const double low = std::abs(y - yOf(record_.range.low, bar(), record_.extent));
  const double high = std::abs(y - yOf(record_.range.high, bar(), record_.extent));
  if (std::min(low, high) > kGrip) return End::none;
  return low < high ? End::low : End::high;
}

void RangeBar::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  paintRangeBar(painter, bar(), record_);
  if (hasFocus()) {
    painter.setPen(QPen(colours().accent, 1));
    painter.drawRect(bar().adjusted(-2, -2, 1, 1));
  }
}

void RangeBar::mousePressEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  dragged_ = endAt(event->position().y());
  moved_ = false;
}

void RangeBar::mouseMoveEvent(QMouseEvent* event) {
  if (dragged_ == End::none) {
    setCursor(endAt(event->position().y()) == End::none ? Qt::PointingHandCursor : Qt::SizeVerCursor);
    return;
  }
  moved_ = true;
  const QRectF space = bar();
  const double share = std::clamp((space.bottom() - event->position().y()) / space.height(), 0.0, 1.0);
  const double value = record_.extent.low + share * record_.extent.span(), least = record_.extent.span() / 100;
  Range range = record_.range;
  if (record_.map == ColourMap::difference) {  // Stays about zero.
    const double half = std::max(std::abs(value), least);
    range = {-half, half};
  } else if (dragged_ == End::low) {
    range.low = std::min(value, range.high - least);
  } else {
    range.high = std::max(value, range.low + least);
  }
  if (range != record_.range) Q_EMIT rangeEdited(range);
}

void RangeBar::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  const bool wasClick = !moved_;
  dragged_ = End::none;
  if (wasClick && rect().contains(event->position().toPoint())) edit();
}

void RangeBar::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter || event->key() == Qt::Key_Space ||
      event->key() == Qt::Key_F2)
    return edit();
  QWidget::keyPressEvent(event);
}

bool RangeBar::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return QWidget::event(event);
  QToolTip::showText(static_cast<QHelpEvent*>(event)->globalPos(),
                     tr("Colours from %1 to %2. Drag an end, or click to change the range and the colours.")
                         .arg(valueText(record_.range.low), valueText(record_.range.high)),
                     this);
  return true;
}

void RangeBar::edit() {
  auto* editor = new RangeEditor(record_, shared_, this);
  connect(editor, &RangeEditor::rangeEdited, this, &RangeBar::rangeEdited);
  connect(editor, &RangeEditor::fitRequested, this, &RangeBar::fitRequested);
  connect(editor, &RangeEditor::fitVisibleRequested, this, &RangeBar::fitVisibleRequested);
  connect(editor, &RangeEditor::coloursChosen, this, &RangeBar::coloursChosen);
  connect(editor, &RangeEditor::sharedChosen, this, &RangeBar::sharedChosen);
  editor->move(mapToGlobal(QPoint(0, kMargin)));
  editor->show();
}

}  // namespace kvista
