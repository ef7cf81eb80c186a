// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/heat_tables.h"

#include <QFontMetricsF>
#include <QKeyEvent>
#include <QLocale>
#include <QMouseEvent>
#include <QPainter>
#include <algorithm>
#include <cmath>
#include <limits>

#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kNames = 28, kTitle = 22, kAxis = 20, kSides = 8, kGap = 24, kBarGap = 12, kTitleGap = 12;
constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

std::vector<float> knownValues(const Matrix& matrix) {
  std::vector<float> values;
  std::copy_if(matrix.values.begin(), matrix.values.end(), std::back_inserter(values),
               [](float value) { return std::isfinite(value); });
  return values;
}

Matrix columnsOf(const Matrix& matrix, int first, int count) {
  Matrix part{matrix.rows, count, {}};
  for (int row = 0; row < matrix.rows; ++row)
    for (int column = first; column < first + count; ++column) part.values.push_back(matrix.at(row, column));
  return part;
}

/// Whole pixels where there are any.
double crisp(double size) { return size >= 2 ? std::floor(size) : size; }

}  // namespace

HeatTables::HeatTables(QWidget* parent)
    : QWidget(parent), bar_(new RangeBar(this)), differenceBar_(new RangeBar(this)) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  connectBar(bar_, scale_);
  connectBar(differenceBar_, differenceScale_);
  connect(&Theme::instance(), &Theme::changed, this, &HeatTables::showColours);
  setRecord({});
}

void HeatTables::connectBar(RangeBar* bar, ColourScale& scale) {
  connect(bar, &RangeBar::rangeEdited, this, [this, &scale](Range range) {
    scale.fix(range);
    showColours();
  });
  connect(bar, &RangeBar::fitRequested, this, [this, &scale](double percentile) {
    scale.fit(percentile);
    showColours();
  });
  connect(bar, &RangeBar::fitVisibleRequested, this, [this, &scale] {  // All is in sight.
    scale.fit(0);
    showColours();
  });
  connect(bar, &RangeBar::coloursChosen, this, [this, &scale](ColourMap map, bool inverted) {
    scale.setColours(map, inverted);
    showColours();
  });
}

void HeatTables::setRecord(HeatTablesRecord record) {
  const auto unknownLike = [](const Matrix& other) {
    return Matrix{other.rows, other.columns, std::vector<float>(other.values.size(), kUnknown)};
  };
  if (record.a.isEmpty()) record.a = unknownLike(record.b);
  if (record.b.isEmpty()) record.b = unknownLike(record.a);
  if (record.a.rows != record.b.rows || record.a.columns != record.b.columns) record = {};
  const bool otherCells = record.a.rows != layers() || record.a.columns != columns();
  matrices_ = {record.a, record.b, record.b};
  for (std::size_t i = 0; i < record.a.values.size(); ++i) matrices_[difference].values[i] -= record.a.values[i];
  titles_ = {record.titleA, record.titleB, tr("Difference, B − A")};
  std::vector<float> values = knownValues(record.a), more = knownValues(record.b);
  values.insert(values.end(), more.begin(), more.end());
  scale_.setValues(std::move(values), countUnknown(record.a) + countUnknown(record.b), false);
  differenceScale_.setValues(knownValues(matrices_[difference]), countUnknown(matrices_[difference]), true);
  if (otherCells) hover_ = cursor_ = std::nullopt;
  showColours();
  placeBars();
  if (pointed()) Q_EMIT pointedChanged();
}

void HeatTables::setLayer(int layer) {
  layer_ = layer;
  update();
}

HeatTables::Images HeatTables::imagesOf(Part part) const {
  const int keys = columns() / 2;
  const ColourScale& scale = part == difference ? differenceScale_ : scale_;
  return {MatrixImage(columnsOf(matrices_[part], 0, keys), {}, scale.range(), scale.table()),
          MatrixImage(columnsOf(matrices_[part], keys, columns() - keys), {}, scale.range(), scale.table())};
}

void HeatTables::showColours() {
  for (const Part part : {a, b, difference}) images_[part] = imagesOf(part);
  bar_->setRecord(scale_.record());
  differenceBar_->setRecord(differenceScale_.record());
  update();
}

float HeatTables::value(Part part, Cell cell) const { return matrices_[part].at(cell.layer, cell.column); }

HeatTables::Places HeatTables::placesIn(const QRectF& area) const {
  Places places;
  if (layers() == 0 || columns() == 0) return places;
  const double room = (area.width() - kNames - 2 * kGap - 2 * (kBarGap + RangeBar::kWidth)) / 3;
  const double widest = columns() == 2 ? 72 : 40, highest = 72;
  places.cellWidth = crisp(std::clamp((room - kSides) / columns(), 0.25, widest));
  places.cellHeight = crisp(std::clamp((area.height() - kTitle - kAxis - RangeBar::kFooter) / layers(), 0.25, highest));
  places.width = places.cellWidth * columns() + kSides;
  places.height = places.cellHeight * layers();
  double x = area.left() + kNames;
  const double y = area.top() + kTitle + kAxis;
  // Names of plans need more room than the cells of small models.
  const double pitch = std::max(places.width, std::min(room, 160.0));
  places.origin[a] = {x, y};
  x += pitch + kGap;
  places.origin[b] = {x, y};
  x += places.width + kBarGap;
  places.bar = {x, y, RangeBar::kWidth, places.height};
  x = std::max(x + RangeBar::kWidth, places.origin[b].x() + pitch) + kGap;
  places.origin[difference] = {x, y};
  x += places.width + kBarGap;
  places.differenceBar = {x, y, RangeBar::kWidth, places.height};
  return places;
}

QRectF HeatTables::block(const Places& places, Part part, int layer, int column, int layers, int count) const {
  const double side = column >= columns() / 2 ? kSides : 0;
  return {places.origin[part].x() + column * places.cellWidth + side,
          places.origin[part].y() + layer * places.cellHeight, count * places.cellWidth, layers * places.cellHeight};
}

QRectF HeatTables::cellRect(Part part, Cell cell) const {
  if (cell.layer < 0 || cell.layer >= layers() || cell.column < 0 || cell.column >= columns()) return {};
  return block(placesIn(rect()), part, cell.layer, cell.column, 1, 1);
}

std::optional<HeatTables::Cell> HeatTables::cellAt(const QPointF& position) const {
  const Places places = placesIn(rect());
  const int keys = columns() / 2;
  for (const Part part : {a, b, difference})
    for (const auto& [first, count] : {std::pair(0, keys), std::pair(keys, columns() - keys)}) {
      const QRectF cells = block(places, part, 0, first, layers(), count);
      if (cells.isEmpty() || !cells.contains(position)) continue;
      return Cell{
          std::min(layers() - 1, static_cast<int>((position.y() - cells.top()) / places.cellHeight)),
          std::min(first + count - 1, first + static_cast<int>((position.x() - cells.left()) / places.cellWidth))};
    }
  return std::nullopt;
}

void HeatTables::placeBars() {
  const bool drawn = layers() > 0;
  bar_->setVisible(drawn);
  differenceBar_->setVisible(drawn);
  const Places places = placesIn(rect());
  for (const auto& [bar, colours] : {std::pair(bar_, places.bar), std::pair(differenceBar_, places.differenceBar)})
    bar->setGeometry(colours.adjusted(-4, -RangeBar::kMargin, 0, RangeBar::kFooter).toRect());
}

void HeatTables::resizeEvent(QResizeEvent*) { placeBars(); }

void HeatTables::paintTable(QPainter& painter, const Places& places, Part part, const Images& images) const {
  const Palette& look = colours();
  const QPointF origin = places.origin[part];
  const int keys = columns() / 2;
  painter.setFont(textFont(TextRole::strong));
  painter.setPen(look.text);
  const double titleRoom = part == a   ? places.origin[b].x() - origin.x() - kTitleGap
                           : part == b ? places.bar.right() - origin.x()
                                       : places.differenceBar.right() - origin.x();
  painter.drawText(QRectF(origin.x(), origin.y() - kTitle - kAxis, titleRoom, kTitle), Qt::AlignLeft | Qt::AlignVCenter,
                   QFontMetricsF(painter.font()).elidedText(titles_[part], Qt::ElideMiddle, titleRoom));
  painter.setFont(textFont(TextRole::axis));
  painter.setPen(look.soft);
  const bool single = places.cellWidth >= 26 && columns() > 2;
  for (int column = 0; column < columns(); ++column) {
    const bool isKey = column < keys;
    if (!single && column != 0 && column != keys) continue;
    const QRectF cells = block(places, part, 0, column, 1, single ? 1 : isKey ? keys : columns() - keys);
    painter.drawText(cells.translated(0, -kAxis - 2).adjusted(-4, 0, 4, kAxis - places.cellHeight), Qt::AlignCenter,
                     single  ? slotName({0, isKey ? Side::key : Side::value, isKey ? column : column - keys})
                     : isKey ? tr("keys")
                             : tr("values"));
  }
  for (const bool isKey : {true, false}) {
    const int first = isKey ? 0 : keys, count = isKey ? keys : columns() - keys;
    images[isKey ? 0 : 1].paint(painter, block(places, part, 0, first, layers(), count), QRectF(0, 0, count, layers()),
                                look.panel, look.faint);
    if (part == difference)
      images[isKey ? 0 : 1].paintSigns(painter, block(places, part, 0, first, layers(), count),
                                       QRectF(0, 0, count, layers()), columnsOf(matrices_[part], first, count), {},
                                       differenceScale_.range().span() / 16);
  }
}

void HeatTables::paintMarks(QPainter& painter, const Places& places) const {
  const Palette& look = colours();
  painter.setFont(textFont(TextRole::axis));
  const int each = std::max(1, static_cast<int>(std::ceil(13 / places.cellHeight)));
  for (int layer = 0; layer < layers(); ++layer) {
    const bool selected = layer == layer_;
    // The selected one's number takes the place of those that it would touch.
    if (!selected && (layer % each != 0 || (layer_ >= 0 && std::abs(layer - layer_) < each))) continue;
    QFont font = textFont(TextRole::axis);
    if (selected) font.setWeight(QFont::DemiBold);
    painter.setFont(font);
    painter.setPen(selected ? look.accent : look.soft);
    const QRectF row = block(places, a, layer, 0, 1, 1);
    painter.drawText(QRectF(row.left() - kNames, row.center().y() - 8, kNames - 8, 16),
                     Qt::AlignRight | Qt::AlignVCenter, QLocale().toString(layer));
  }
  if (layer_ < 0 || layer_ >= layers()) return;
  painter.setBrush(Qt::NoBrush);
  painter.setPen(QPen(look.accent, 2));
  for (const Part part : {a, b, difference})
    painter.drawRect(block(places, part, layer_, 0, 1, columns()).adjusted(-2, -1, kSides + 2, 1));
}

void HeatTables::paintEvent(QPaintEvent*) {
  if (layers() == 0) return;
  QPainter painter(this);
  const Places places = placesIn(rect());
  for (const Part part : {a, b, difference}) paintTable(painter, places, part, images_[part]);
  paintMarks(painter, places);
  const auto cell = pointed();
  if (!cell) return;
  painter.setBrush(Qt::NoBrush);
  for (const Part part : {a, b, difference}) {
    const QRectF rect = block(places, part, cell->layer, cell->column, 1, 1);
    painter.setPen(QPen(colours().panel, 1));
    painter.drawRect(rect.adjusted(-2.5, -2.5, 1.5, 1.5));
    painter.setPen(QPen(colours().text, 1));
    painter.drawRect(rect.adjusted(-1.5, -1.5, 0.5, 0.5));
  }
}

void HeatTables::paintFigure(QPainter& painter, const QRectF& area) const {
  if (layers() == 0) return;
  painter.save();
  const Places places = placesIn(area);
  // In the colours of paper.
  for (const Part part : {a, b, difference}) paintTable(painter, places, part, imagesOf(part));
  paintMarks(painter, places);
  paintRangeBar(painter, places.bar, scale_.record());
  paintRangeBar(painter, places.differenceBar, differenceScale_.record());
  painter.restore();
}

void HeatTables::mouseMoveEvent(QMouseEvent* event) {
  const auto cell = cellAt(event->position());
  if (cell == hover_) return;
  hover_ = cell;
  update();
  Q_EMIT pointedChanged();
}

void HeatTables::leaveEvent(QEvent*) {
  if (!hover_) return;
  hover_ = std::nullopt;
  update();
  Q_EMIT pointedChanged();
}

void HeatTables::mousePressEvent(QMouseEvent* event) {
  const auto cell = cellAt(event->position());
  if (event->button() != Qt::LeftButton || !cell) return QWidget::mousePressEvent(event);
  cursor_ = cell;
  update();
  Q_EMIT layerActivated(cell->layer);
}

void HeatTables::moveCursor(Cell cell) {
  cursor_ = Cell{std::clamp(cell.layer, 0, layers() - 1), std::clamp(cell.column, 0, columns() - 1)};
  hover_ = std::nullopt;  // The keyboard was used last.
  update();
  Q_EMIT pointedChanged();
}

void HeatTables::keyPressEvent(QKeyEvent* event) {
  if (layers() == 0) return QWidget::keyPressEvent(event);
  const bool isSet = cursor_.has_value();
  const Cell at = cursor_.value_or(Cell{std::max(layer_, 0), 0});
  const auto step = [&](int layersOn, int columnsOn) {
    moveCursor(isSet ? Cell{at.layer + layersOn, at.column + columnsOn} : at);
  };
  switch (event->key()) {
    case Qt::Key_Up:
      return step(-1, 0);
    case Qt::Key_Down:
      return step(1, 0);
    case Qt::Key_Left:
      return step(0, -1);
    case Qt::Key_Right:
      return step(0, 1);
    case Qt::Key_Home:
      return moveCursor({event->modifiers() & Qt::ControlModifier ? 0 : at.layer, 0});
    case Qt::Key_End:
      return moveCursor({event->modifiers() & Qt::ControlModifier ? layers() - 1 : at.layer, columns() - 1});
    case Qt::Key_Return:
    case Qt::Key_Enter:
    case Qt::Key_Space:
      if (isSet) Q_EMIT layerActivated(at.layer);
      return;
    default:
      return QWidget::keyPressEvent(event);
  }
}

void HeatTables::focusInEvent(QFocusEvent*) {
  update();
  if (cursor_) Q_EMIT pointedChanged();
}

void HeatTables::focusOutEvent(QFocusEvent*) {
  update();
  Q_EMIT pointedChanged();
}

}  // namespace kvista
