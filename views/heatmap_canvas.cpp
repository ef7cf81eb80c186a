// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/heatmap_canvas.h"

#include <QAccessible>
#include <QClipboard>
#include <QGuiApplication>
#include <QLocale>
#include <QPainter>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "views/heatmap_accessible.h"
#include "views/theme.h"

namespace kvista {
namespace {

void keepHeads(std::vector<int>& heads, int count) {
  std::erase_if(heads, [count](int head) { return head < 0 || head >= count; });
}

/// Neighbouring places as (first, count).
std::vector<std::pair<int, int>> runsOf(const std::vector<int>& heads, const std::vector<int>& placeOf) {
  std::vector<int> places;
  for (const int head : heads) places.push_back(placeOf[static_cast<std::size_t>(head)]);
  std::sort(places.begin(), places.end());
  std::vector<std::pair<int, int>> runs;
  for (const int place : places) {
    if (!runs.empty() && runs.back().first + runs.back().second == place)
      ++runs.back().second;
    else
      runs.emplace_back(place, 1);
  }
  return runs;
}

std::vector<bool> marked(const std::vector<int>& heads, int count) {
  std::vector<bool> result(heads.empty() ? 0 : static_cast<std::size_t>(count), false);
  for (const int head : heads) result[static_cast<std::size_t>(head)] = true;
  return result;
}

}  // namespace

std::vector<int> HeadBlock::heads() const {
  std::vector<int> result = rows;
  for (const int head : columns)
    if (std::find(rows.begin(), rows.end(), head) == rows.end()) result.push_back(head);
  return result;
}

HeatmapCanvas::HeatmapCanvas(QWidget* parent) : QWidget(parent), colours_(&colourTable(ColourMap::viridis, false)) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setAttribute(Qt::WA_OpaquePaintEvent);
  installHeatmapAccessibility();
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void HeatmapCanvas::setRecord(const HeatmapRecord& record) {
  const bool sameHeads = record.canBeDrawn() && record.heads() == record_.heads();
  record_ = record;
  imageIsStale_ = true;
  setAccessibleName(tr("%1, %2").arg(record_.title, record_.measure));
  if (!sameHeads) {
    cursor_ = hovered_ = anchor_ = std::nullopt;
    selection_ = {};
    const double side = record_.canBeDrawn() ? record_.heads() : 1;
    visible_ = {0, 0, side, side};
    arrangement_ = arrange(record_, HeatmapOrder::index);
  }
  if (QAccessible::isActive()) {
    QAccessibleTableModelChangeEvent event(this, QAccessibleTableModelChangeEvent::ModelReset);
    QAccessible::updateAccessibility(&event);
  }
  update();
}

void HeatmapCanvas::setArrangement(const Arrangement& arrangement) {
  if (static_cast<int>(arrangement.headAt.size()) != record_.heads()) return;
  arrangement_ = arrangement;
  imageIsStale_ = true;
  update();
}

void HeatmapCanvas::setColours(Range range, const ColourTable& colours) {
  if (range == range_ && &colours == colours_) return;
  range_ = range;
  colours_ = &colours;
  imageIsStale_ = true;
  update();
}

void HeatmapCanvas::setAxes(const HeatmapAxes& axes) {
  axes_ = axes;
  update();
}

QSize HeatmapCanvas::sizeFor(double side) const {
  return {static_cast<int>(std::ceil(axes_.width() + side + 2)), static_cast<int>(std::ceil(axes_.height + side + 2))};
}

QRectF HeatmapCanvas::cellsRect() const {
  const double side = std::min(width() - axes_.width() - 2, height() - axes_.height - 2);
  return {axes_.width(), axes_.height, std::max(0.0, side), std::max(0.0, side)};
}

QRectF HeatmapCanvas::cellRect(HeadPair pair) const {
  return picture().block(placeOf(pair.row), placeOf(pair.column), 1, 1);
}

std::optional<HeadPair> HeatmapCanvas::pairAt(QPointF position) const {
  const QRectF cells = cellsRect();
  if (!record_.canBeDrawn() || !cells.contains(position)) return std::nullopt;
  const double scale = visible_.width() / cells.width();
  const int row = static_cast<int>(visible_.top() + (position.y() - cells.top()) * scale);
  const int column = static_cast<int>(visible_.left() + (position.x() - cells.left()) * scale);
  return HeadPair{headAt(std::clamp(row, 0, record_.heads() - 1)), headAt(std::clamp(column, 0, record_.heads() - 1))};
}

void HeatmapCanvas::setVisibleCells(const QRectF& visible) {
  if (!record_.canBeDrawn()) return;
  const double heads = record_.heads();
  const double side = std::clamp(visible.width(), std::min(heads, kFewestCells), heads);
  const QRectF wanted(std::clamp(visible.left(), 0.0, heads - side), std::clamp(visible.top(), 0.0, heads - side), side,
                      side);
  if (wanted == visible_) return;
  visible_ = wanted;
  update();
  Q_EMIT visibleCellsChanged(visible_);
}

void HeatmapCanvas::zoom(double factor, QPointF fixed) {
  const QRectF cells = cellsRect();
  if (cells.isEmpty() || factor <= 0) return;
  const double x = std::clamp((fixed.x() - cells.left()) / cells.width(), 0.0, 1.0);
  const double y = std::clamp((fixed.y() - cells.top()) / cells.height(), 0.0, 1.0);
  const double side =
      std::clamp(visible_.width() / factor, std::min<double>(record_.heads(), kFewestCells), double(record_.heads()));
  setVisibleCells(
      {visible_.left() + x * (visible_.width() - side), visible_.top() + y * (visible_.height() - side), side, side});
}

void HeatmapCanvas::fit() { setVisibleCells({0, 0, double(record_.heads()), double(record_.heads())}); }

std::vector<float> HeatmapCanvas::visibleValues() const {
  const QRect cells = visible_.toAlignedRect() & QRect(0, 0, record_.heads(), record_.heads());
  std::vector<float> values;
  for (int row = cells.top(); row <= cells.bottom(); ++row)
    for (int column = cells.left(); column <= cells.right(); ++column) {
      const float value = record_.matrix.at(headAt(row), headAt(column));
      if (row != column && std::isfinite(value)) values.push_back(value);
    }
  return values;
}

void HeatmapCanvas::setHovered(std::optional<HeadPair> pair) {
  if (pair == hovered_) return;
  hovered_ = pair;
  update();
}

void HeatmapCanvas::setSelection(HeadBlock selection) {
  keepHeads(selection.rows, record_.heads());
  keepHeads(selection.columns, record_.heads());
  selection_ = std::move(selection);
  update();
}

HeadBlock HeatmapCanvas::blockBetween(HeadPair a, HeadPair b) const {
  const auto between = [this](int x, int y) {
    std::vector<int> heads;
    const auto [first, last] = std::minmax({placeOf(x), placeOf(y)});
    for (int place = first; place <= last; ++place) heads.push_back(headAt(place));
    return heads;
  };
  return {between(a.row, b.row), between(a.column, b.column)};
}

QString HeatmapCanvas::describe(HeadPair pair) const {
  QStringList parts{tr("Layer %1").arg(record_.layer)};
  parts << (pair.row == pair.column ? record_.name(pair.row)
                                    : tr("%1 and %2").arg(record_.name(pair.row), record_.name(pair.column)));
  parts << tr("%1 %2").arg(record_.measure, valueText(record_.matrix.at(pair.row, pair.column))).trimmed();
  const int a = record_.groupOf(pair.row), b = record_.groupOf(pair.column);
  if (a >= 0 && b >= 0) parts << (a == b ? tr("group %1").arg(a + 1) : tr("groups %1 and %2").arg(a + 1).arg(b + 1));
  return parts.join(QStringLiteral(" · "));
}

PlainTable HeatmapCanvas::plainTable(std::vector<int> rows, std::vector<int> columns) const {
  PlainTable table{{QString()}, {}};
  for (std::vector<int>* heads : {&rows, &columns})
    std::ranges::sort(*heads, {}, [this](int head) { return placeOf(head); });
  for (const int column : columns) table.header << record_.name(column);
  for (const int row : rows) {
    QStringList cells = {record_.name(row)};
    for (const int column : columns) cells << plainNumber(record_.matrix.at(row, column));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

PlainTable HeatmapCanvas::plainTable() const {
  if (!record_.canBeDrawn()) return {};
  std::vector<int> heads(static_cast<std::size_t>(record_.heads()));
  std::iota(heads.begin(), heads.end(), 0);
  return plainTable(heads, heads);
}

QString HeatmapCanvas::selectionAsTsv() const {
  return selection_.isEmpty() ? QString() : tabSeparated(plainTable(selection_.rows, selection_.columns));
}

void HeatmapCanvas::copySelection() {
  if (selection_.isEmpty()) return;
  QGuiApplication::clipboard()->setText(selectionAsTsv());
  Q_EMIT copied(static_cast<int>(selection_.rows.size() * selection_.columns.size()));
}

HeatmapPicture HeatmapCanvas::picture() const {
  return {&record_,
          &arrangement_,
          &image_,
          range_,
          axes_,
          cellsRect(),
          visible_,
          marked(selection_.rows, record_.heads()),
          marked(selection_.columns, record_.heads())};
}

void HeatmapCanvas::paintFigure(QPainter& painter, const QRectF& rect) const {
  if (!record_.canBeDrawn()) return;
  HeatmapPicture figure = picture();
  const double side =
      crispSide(std::min(rect.width() - axes_.width(), rect.height() - axes_.height) - 2, record_.heads());
  figure.cells = {rect.left() + axes_.width(), rect.top() + axes_.height, side, side};
  figure.strongRows.clear();
  figure.strongColumns.clear();
  const MatrixImage image(record_.matrix, arrangement_.headAt, range_, *colours_);
  figure.image = &image;
  paintHeatmap(painter, figure);
}

void HeatmapCanvas::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.fillRect(rect(), colours().panel);
  if (!record_.canBeDrawn()) return;
  if (imageIsStale_) image_ = MatrixImage(record_.matrix, arrangement_.headAt, range_, *colours_);
  imageIsStale_ = false;
  const HeatmapPicture shown = picture();
  paintHeatmap(painter, shown);
  painter.setClipRect(shown.cells.adjusted(-2, -2, 2, 2));
  paintSelection(painter, shown);
  paintGap(painter, shown);
  if (hovered_) {
    // Light in dark: one of the two stands out from every colour.
    const QRectF cell = shown.block(placeOf(hovered_->row), placeOf(hovered_->column), 1, 1);
    painter.setPen(QPen(Qt::black, 1));
    painter.drawRect(cell.adjusted(-1, -1, 0, 0));
    painter.setPen(QPen(Qt::white, 1));
    if (cell.width() >= 4) painter.drawRect(cell.adjusted(0, 0, -1, -1));
  }
  if (hasFocus() && cursor_) {
    const QRectF cell = shown.block(placeOf(cursor_->row), placeOf(cursor_->column), 1, 1);
    painter.setPen(QPen(colours().panel, 1));
    painter.drawRect(cell.adjusted(-2, -2, 1, 1));
    painter.setPen(QPen(colours().accent, 1, Qt::DotLine));
    painter.drawRect(cell.adjusted(-2, -2, 1, 1));
  }
  if (hasFocus()) {
    painter.setPen(QPen(colours().accent, 1));
    painter.drawRect(shown.cells.adjusted(-1, -1, 0, 0));
  }
}

/// A line where what is dragged would come, dark in light for every colour below it.
void HeatmapCanvas::paintGap(QPainter& painter, const HeatmapPicture& shown) const {
  if (!gap()) return;
  const double at = moving_->down ? shown.y(*gap()) : shown.x(*gap());
  const QRectF& cells = shown.cells;
  const QLineF line =
      moving_->down ? QLineF(cells.left(), at, cells.right(), at) : QLineF(at, cells.top(), at, cells.bottom());
  painter.setPen(QPen(colours().panel, 4));
  painter.drawLine(line);
  painter.setPen(QPen(colours().accent, 2));
  painter.drawLine(line);
}

void HeatmapCanvas::paintSelection(QPainter& painter, const HeatmapPicture& shown) const {
  if (selection_.isEmpty()) return;
  const auto rows = runsOf(selection_.rows, arrangement_.placeOf),
             columns = runsOf(selection_.columns, arrangement_.placeOf);
  if (rows.size() * columns.size() > 4096) return;  // Scattered over everything: the names say it.
  painter.setBrush(Qt::NoBrush);
  for (const auto& [row, rowCount] : rows)
    for (const auto& [column, columnCount] : columns) {
      QRectF block = shown.block(row, column, rowCount, columnCount);
      if (!block.intersects(shown.cells)) continue;
      // Cells smaller than the frame would vanish in it.
      if (block.width() < 4) block.adjust(-2, 0, 2, 0);
      if (block.height() < 4) block.adjust(0, -2, 0, 2);
      QPen pen(colours().panel, 4);
      pen.setJoinStyle(Qt::MiterJoin);
      painter.setPen(pen);
      painter.drawRect(block);
      pen.setColor(colours().accent);
      pen.setWidth(2);
      painter.setPen(pen);
      painter.drawRect(block);
    }
}

}  // namespace kvista
