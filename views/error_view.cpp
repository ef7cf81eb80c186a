// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/error_view.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "views/colour_map.h"
#include "views/matrix_image.h"
#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kMargin = 16, kGap = 24, kTitle = 20, kAxis = 22, kScale = 8, kScaleText = 44, kReach = 10;

const ColourTable& table() { return colourTable(ColourMap::viridis, false); }

QRgb colourOf(double value, const Range& range) {
  const double part = range.span() > 0 ? (value - range.low) / range.span() : 0;
  return table()[static_cast<std::size_t>(std::clamp(std::lround(255 * part), 0L, 255L))];
}

}  // namespace

ErrorView::ErrorView(QWidget* parent) : View(parent) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setTitle(tr("Errors"), tr("relative, by layer and head · predicted and measured loss"));
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
  setRecord({});
}

void ErrorView::setRecord(ErrorRecord record) {
  record_ = std::move(record);
  std::erase_if(record_.matrices, [](const ErrorMatrix& matrix) {
    return matrix.errors.rows <= 0 || matrix.errors.columns <= 0 ||
           matrix.errors.values.size() !=
               static_cast<std::size_t>(matrix.errors.rows) * static_cast<std::size_t>(matrix.errors.columns);
  });
  std::vector<float> values;
  for (const ErrorMatrix& matrix : record_.matrices)
    std::copy_if(matrix.errors.values.begin(), matrix.errors.values.end(), std::back_inserter(values),
                 [](float value) { return std::isfinite(value); });
  range_ = fitRange(values, 0, false);
  range_.low = std::min(range_.low, 0.0);  // An error of nothing is the low end: tables are read as amounts.
  images_.clear();
  for (const ErrorMatrix& matrix : record_.matrices) {
    QImage image(matrix.errors.columns, matrix.errors.rows, QImage::Format_RGB32);
    for (int layer = 0; layer < matrix.errors.rows; ++layer)
      for (int head = 0; head < matrix.errors.columns; ++head) {
        const auto value = static_cast<double>(matrix.errors.at(layer, head));
        image.setPixel(head, layer, std::isfinite(value) ? colourOf(value, range_) : 0);
      }
    images_.push_back(std::move(image));
  }
  double least = 0, most = 0;
  for (const PredictionPoint& plan : record_.plans)
    for (const double value : {plan.predicted, plan.measured}) {
      if (!(value > 0) || !std::isfinite(value)) continue;
      least = least > 0 ? std::min(least, value) : value;
      most = std::max(most, value);
    }
  if (most > 0) loss_ = {std::log10(least) - 0.2, std::log10(most) + 0.2};
  loss_.low = std::min(loss_.low, loss_.high - 1);
  cell_.reset();
  setAccessibleName(title());
  update();
}

ErrorView::Layout ErrorView::layoutIn(const QRectF& area) const {
  Layout layout;
  const QRectF inside = area.adjusted(kMargin, kMargin / 2, -kMargin, -kMargin / 2);
  const int count = static_cast<int>(record_.matrices.size());
  const double scatter =
      record_.plans.empty() ? 0 : std::min(inside.height() * 1.15, inside.width() * (count > 0 ? 0.4 : 1.0));
  layout.scatter = QRectF(inside.right() - scatter, inside.top(), scatter, inside.height());
  const double right = inside.right() - scatter - (scatter > 0 ? kGap : 0);
  layout.scale = QRectF(right - kScaleText - kScale, inside.top() + kTitle, kScale, inside.height() - kTitle - kAxis);
  if (count == 0) return layout;
  const QRectF tables(inside.left() + kAxis, inside.top(), layout.scale.left() - kGap / 2 - inside.left() - kAxis,
                      inside.height());
  // As many in a row as make the tables largest.
  int best = 1;
  double largest = 0;
  for (int columns = 1; columns <= count; ++columns) {
    const int rows = (count + columns - 1) / columns;
    const double side = std::min((tables.width() - (columns - 1) * (kGap + kAxis)) / columns,
                                 (tables.height() / rows) - kTitle - kAxis);
    if (side > largest) {
      largest = side;
      best = columns;
    }
  }
  const int rows = (count + best - 1) / best;
  const double width = (tables.width() - (best - 1) * (kGap + kAxis)) / best, height = tables.height() / rows;
  for (int i = 0; i < count; ++i)
    layout.tables.emplace_back(tables.left() + (i % best) * (width + kGap + kAxis),
                               tables.top() + (i / best) * height + kTitle, width,
                               std::max(1.0, height - kTitle - kAxis));
  return layout;
}

LogPlot ErrorView::scatterIn(const QRectF& area) const {
  LogPlot plot;
  plot.area = LogPlot::areaIn(area, 12);
  plot.x = plot.y = loss_;
  plot.xName = tr("predicted, nats per token");
  plot.yName = tr("measured, nats per token");
  return plot;
}

std::optional<ErrorView::Cell> ErrorView::cellAt(const QPointF& place) const {
  const Layout layout = layoutIn(rect());
  for (std::size_t i = 0; i < layout.tables.size(); ++i) {
    const QRectF& area = layout.tables[i];
    if (!area.contains(place) || area.width() <= 0) continue;
    const Matrix& errors = record_.matrices[i].errors;
    return Cell{
        static_cast<int>(i),
        std::min(errors.rows - 1, static_cast<int>((place.y() - area.top()) / area.height() * errors.rows)),
        std::min(errors.columns - 1, static_cast<int>((place.x() - area.left()) / area.width() * errors.columns))};
  }
  return std::nullopt;
}

QString ErrorView::describe(const Cell& cell) const {
  const ErrorMatrix& matrix = record_.matrices[static_cast<std::size_t>(cell.matrix)];
  const auto value = static_cast<double>(matrix.errors.at(cell.layer, cell.head));
  return tr("Layer %1 · %2%3 · %4 · %5")
      .arg(cell.layer)
      .arg(matrix.heads)
      .arg(cell.head)
      .arg(matrix.label, std::isfinite(value) ? significantText(value, 4) : tr("not measured"));
}

std::optional<QPointF> ErrorView::placeOf(int plan) const {
  const PredictionPoint& point = record_.plans[static_cast<std::size_t>(plan)];
  if (!(point.predicted > 0) || !(point.measured > 0) || !std::isfinite(point.predicted * point.measured))
    return std::nullopt;
  return scatterIn(layoutIn(rect()).scatter).place(point.predicted, point.measured);
}

std::optional<int> ErrorView::planAt(const QPointF& place) const {
  for (int i = 0; i < static_cast<int>(record_.plans.size()); ++i) {
    const auto at = placeOf(i);
    if (at && std::hypot(at->x() - place.x(), at->y() - place.y()) <= kReach) return i;
  }
  return std::nullopt;
}

QString ErrorView::describePlan(int plan) const {
  const PredictionPoint& point = record_.plans[static_cast<std::size_t>(plan)];
  const QString figures = tr("predicted %1, measured %2 nats per token (%3)")
                              .arg(significantText(point.predicted, 3), significantText(point.measured, 3),
                                   changeText(point.predicted > 0 ? point.measured / point.predicted - 1 : 0));
  return point.label.isEmpty() ? figures : point.label + QStringLiteral(" · ") + figures;
}

void ErrorView::paintTables(QPainter& painter, const Layout& layout) const {
  const Palette& look = colours();
  for (std::size_t i = 0; i < layout.tables.size(); ++i) {
    const QRectF& area = layout.tables[i];
    const Matrix& errors = record_.matrices[i].errors;
    painter.setFont(textFont(TextRole::strong));
    painter.setPen(look.text);
    painter.drawText(QRectF(area.left(), area.top() - kTitle, area.width(), kTitle - 4), Qt::AlignVCenter,
                     record_.matrices[i].label);
    painter.setRenderHint(QPainter::SmoothPixmapTransform, false);
    painter.drawImage(area, images_[i]);
    const double width = area.width() / errors.columns, height = area.height() / errors.rows;
    for (int layer = 0; layer < errors.rows; ++layer)
      for (int head = 0; head < errors.columns; ++head)
        if (!std::isfinite(errors.at(layer, head)))
          paintHatch(painter, QRectF(area.left() + head * width, area.top() + layer * height, width, height),
                     look.panel, look.faint);
    painter.setFont(textFont(TextRole::axis));
    painter.setPen(look.soft);
    const auto label = [&](const QRectF& place, Qt::Alignment alignment, const QString& text) {
      painter.drawText(place, static_cast<int>(alignment), text);
    };
    label(QRectF(area.left() - kAxis, area.top(), kAxis - 6, 14), Qt::AlignRight | Qt::AlignTop, QStringLiteral("0"));
    label(QRectF(area.left() - kAxis, area.bottom() - 14, kAxis - 6, 14), Qt::AlignRight | Qt::AlignBottom,
          QString::number(errors.rows - 1));
    const QString& heads = record_.matrices[i].heads;
    label(QRectF(area.left(), area.bottom() + 3, 60, 14), Qt::AlignLeft | Qt::AlignVCenter,
          heads + QStringLiteral("0"));
    label(QRectF(area.right() - 60, area.bottom() + 3, 60, 14), Qt::AlignRight | Qt::AlignVCenter,
          heads + QString::number(errors.columns - 1));
    if (area.height() > 90) {
      painter.save();
      painter.translate(area.left() - 12, area.center().y());
      painter.rotate(-90);
      label(QRectF(-40, -8, 80, 16), Qt::AlignCenter, tr("layer"));
      painter.restore();
    }
    if (cell_ && cell_->matrix == static_cast<int>(i)) {
      painter.setPen(QPen(look.accent, 2));
      painter.setBrush(Qt::NoBrush);
      painter.drawRect(QRectF(area.left() + cell_->head * width, area.top() + cell_->layer * height, width, height)
                           .adjusted(-1, -1, 1, 1));
    }
  }
}

void ErrorView::paintScale(QPainter& painter, const QRectF& area) const {
  if (area.height() < 20) return;
  QImage bar(1, 256, QImage::Format_RGB32);
  for (int i = 0; i < 256; ++i) bar.setPixel(0, 255 - i, table()[static_cast<std::size_t>(i)]);
  painter.drawImage(area, bar);
  painter.setFont(textFont(TextRole::axis));
  painter.setPen(colours().soft);
  for (const double part : {0.0, 0.5, 1.0}) {
    const double y = area.bottom() - part * area.height();
    const double top = part == 0.0 ? y - 14 : part == 1.0 ? y : y - 7;
    painter.drawText(QRectF(area.right() + 6, top, kScaleText - 6, 14), Qt::AlignLeft | Qt::AlignVCenter,
                     tickText(range_.low + part * range_.span(), range_.span()));
  }
}

void ErrorView::paintScatter(QPainter& painter, const QRectF& area) const {
  const Palette& look = colours();
  painter.setRenderHint(QPainter::Antialiasing);
  const LogPlot plot = scatterIn(area);
  plot.paintAxes(painter);
  painter.setPen(QPen(look.soft, 1.2, Qt::DashLine));
  painter.drawLine(plot.area.bottomLeft(), plot.area.topRight());
  painter.setFont(textFont(TextRole::axis));
  painter.save();
  painter.translate(plot.area.topRight());
  painter.rotate(-std::atan2(plot.area.height(), plot.area.width()) * 180 / M_PI);
  painter.setPen(look.soft);
  painter.drawText(QRectF(-130, 3, 122, 16), Qt::AlignRight | Qt::AlignVCenter, tr("as predicted"));
  painter.restore();
  for (const PredictionPoint& point : record_.plans) {
    if (!(point.predicted > 0) || !(point.measured > 0) || !std::isfinite(point.predicted * point.measured)) continue;
    const QPointF center = plot.place(point.predicted, point.measured);
    if (point.current) {
      painter.setPen(QPen(look.accent, 1.5));
      painter.setBrush(look.panel);
      painter.drawEllipse(center, 8.5, 8.5);
    }
    painter.setPen(QPen(look.panel, 1));
    painter.setBrush(look.accent);
    painter.drawEllipse(center, 4.5, 4.5);
    if (!point.current || point.label.isEmpty()) continue;
    painter.setPen(look.accent);
    const double width = painter.fontMetrics().horizontalAdvance(point.label) + 4;
    const bool room = center.x() + 12 + width <= plot.area.right();
    painter.drawText(QRectF(room ? center.x() + 12 : center.x() - 12 - width, center.y() - 1, width, 16),
                     Qt::AlignVCenter, point.label);
  }
}

void ErrorView::paintFigure(QPainter& painter, const QRectF& area) const {
  painter.save();
  const Layout layout = layoutIn(area);
  paintTables(painter, layout);
  if (!layout.tables.empty()) paintScale(painter, layout.scale);
  if (!record_.plans.empty()) paintScatter(painter, layout.scatter);
  painter.restore();
}

void ErrorView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  if (record_.matrices.empty() && record_.plans.empty()) {
    painter.setPen(colours().soft);
    painter.drawText(rect().adjusted(24, 24, -24, -24), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("Nothing measured yet: measure a plan to see where it errs and how well that was predicted."));
    return;
  }
  paintFigure(painter, rect());
}

void ErrorView::setCell(std::optional<Cell> cell) {
  if (cell == cell_) return;
  cell_ = cell;
  const QString text = cell ? describe(*cell) : QString();
  setAccessibleDescription(text);
  update();
  Q_EMIT hovered(text);
}

void ErrorView::mouseMoveEvent(QMouseEvent* event) {
  const auto cell = cellAt(event->position());
  const auto plan = cell ? std::nullopt : planAt(event->position());
  setCursor(plan ? Qt::PointingHandCursor : Qt::ArrowCursor);
  setCell(cell);
  if (plan) Q_EMIT hovered(describePlan(*plan));
}

void ErrorView::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  if (const auto cell = cellAt(event->position()))
    Q_EMIT cellActivated(cell->layer, cell->head, record_.matrices[static_cast<std::size_t>(cell->matrix)].label);
  else if (const auto plan = planAt(event->position()))
    Q_EMIT planActivated(record_.plans[static_cast<std::size_t>(*plan)].fingerprint);
}

void ErrorView::leaveEvent(QEvent*) { setCell(std::nullopt); }

void ErrorView::keyPressEvent(QKeyEvent* event) {
  if (record_.matrices.empty()) return View::keyPressEvent(event);
  const int key = event->key();
  Cell next = cell_.value_or(Cell{});
  const bool isArrow = key == Qt::Key_Left || key == Qt::Key_Right || key == Qt::Key_Up || key == Qt::Key_Down;
  if ((key == Qt::Key_Return || key == Qt::Key_Enter) && cell_) {
    Q_EMIT cellActivated(next.layer, next.head, record_.matrices[static_cast<std::size_t>(next.matrix)].label);
    return;
  }
  if (!isArrow) return View::keyPressEvent(event);
  if (cell_) {
    next.head += key == Qt::Key_Right ? 1 : key == Qt::Key_Left ? -1 : 0;
    next.layer += key == Qt::Key_Down ? 1 : key == Qt::Key_Up ? -1 : 0;
    // Beyond an edge lies the next table.
    const auto columnsOf = [&](int matrix) {
      return record_.matrices[static_cast<std::size_t>(matrix)].errors.columns;
    };
    if (next.head >= columnsOf(next.matrix) && next.matrix + 1 < static_cast<int>(record_.matrices.size())) {
      ++next.matrix;
      next.head = 0;
    } else if (next.head < 0 && next.matrix > 0) {
      --next.matrix;
      next.head = columnsOf(next.matrix) - 1;
    }
    const Matrix& errors = record_.matrices[static_cast<std::size_t>(next.matrix)].errors;
    next.head = std::clamp(next.head, 0, errors.columns - 1);
    next.layer = std::clamp(next.layer, 0, errors.rows - 1);
  }
  setCell(next);
}

void ErrorView::focusInEvent(QFocusEvent*) { update(); }
void ErrorView::focusOutEvent(QFocusEvent*) { setCell(std::nullopt); }

bool ErrorView::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    if (const auto cell = cellAt(help->pos()))
      QToolTip::showText(help->globalPos(), describe(*cell), this);
    else if (const auto plan = planAt(help->pos()))
      QToolTip::showText(help->globalPos(), describePlan(*plan), this);
    else
      QToolTip::hideText();
    return true;
  }
  return View::event(event);
}

}  // namespace kvista
