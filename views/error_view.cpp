// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/error_view.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "views/colour_map.h"
#include "views/label_places.h"
#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kMargin = 16, kGap = 24, kTitle = 20, kAxis = 22, kScale = 8, kScaleGap = 6, kNarrow = 560,
                 kReach = 10;
constexpr int kMark = 8, kRing = 18;

const ColourTable& table() { return colourTable(ColourMap::viridis, false); }

/// On logarithmic axes.
bool hasPlace(const PredictionPoint& point) {
  return point.predicted > 0 && point.measured > 0 && std::isfinite(point.predicted * point.measured);
}

}  // namespace

ErrorView::ErrorView(QWidget* parent) : View(parent) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setTitle(tr("Errors"), tr("relative, by layer and head · predicted and measured loss"));
  connect(&Theme::instance(), &Theme::changed, this, &ErrorView::arrange);
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
  for (ErrorMatrix& matrix : record_.matrices) {
    std::replace_if(
        matrix.errors.values.begin(), matrix.errors.values.end(), [](float value) { return !std::isfinite(value); },
        NAN);
    std::copy_if(matrix.errors.values.begin(), matrix.errors.values.end(), std::back_inserter(values),
                 [](float value) { return std::isfinite(value); });
  }
  range_ = fitRange(values, 0, false);
  range_.low = std::min(range_.low, 0.0);  // An error of nothing is the low end: tables are read as amounts.
  images_.clear();
  for (const ErrorMatrix& matrix : record_.matrices)
    images_.emplace_back(matrix.errors, std::vector<int>{}, range_, table());
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
  arrange();
}

ErrorView::Layout ErrorView::layoutIn(const QRectF& area) const {
  Layout layout;
  const QRectF inside = area.adjusted(kMargin, kMargin / 2, -kMargin, -kMargin / 2);
  const int count = static_cast<int>(record_.matrices.size());
  const bool narrow = inside.width() < kNarrow;
  const double gap = narrow ? kGap / 2 : kGap;
  QRectF left = inside;
  if (record_.plans.empty()) {
    layout.scatter = QRectF(inside.topRight(), QSizeF(0, inside.height()));
  } else if (count == 0) {
    const double width = std::min(inside.height() * 1.15, inside.width());
    layout.scatter = QRectF(inside.right() - width, inside.top(), width, inside.height());
  } else if (narrow && inside.height() > inside.width()) {
    left.setHeight((inside.height() - gap) / 2);
    layout.scatter = inside.adjusted(0, left.height() + gap, 0, 0);
  } else {
    const double width = std::min(inside.height() * 1.15, inside.width() * 0.4);
    layout.scatter = QRectF(inside.right() - width, inside.top(), width, inside.height());
    left.setRight(layout.scatter.left() - gap);
  }
  const double scaleText = kScaleGap + std::max(LogChart::textWidth(scaleLabel(0)), LogChart::textWidth(scaleLabel(1)));
  layout.scale = QRectF(left.right() - scaleText - kScale, left.top() + kTitle, kScale, left.height() - kTitle - kAxis);
  if (count == 0) return layout;
  const QRectF tables(left.left() + kAxis, left.top(), layout.scale.left() - gap / 2 - left.left() - kAxis,
                      left.height());
  // As many in a row as make the tables largest.
  int best = 1;
  double largest = 0;
  for (int columns = 1; columns <= count; ++columns) {
    const int rows = (count + columns - 1) / columns;
    const double side =
        std::min((tables.width() - (columns - 1) * (gap + kAxis)) / columns, (tables.height() / rows) - kTitle - kAxis);
    if (side > largest) {
      largest = side;
      best = columns;
    }
  }
  const int rows = (count + best - 1) / best;
  const double width = (tables.width() - (best - 1) * (gap + kAxis)) / best, height = tables.height() / rows;
  for (int i = 0; i < count; ++i)
    layout.tables.emplace_back(tables.left() + (i % best) * (width + gap + kAxis),
                               tables.top() + (i / best) * height + kTitle, width,
                               std::max(1.0, height - kTitle - kAxis));
  return layout;
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
  if (!hasPlace(point)) return std::nullopt;
  return layoutIn(rect()).scatter.topLeft() + scatter_.place(point.predicted, point.measured);
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
    painter.drawText(QRectF(area.left(), area.top() - kTitle, area.width() + 1, kTitle - 4), Qt::AlignVCenter,
                     QFontMetricsF(painter.font()).elidedText(record_.matrices[i].label, Qt::ElideRight, area.width()));
    images_[i].paint(painter, area, QRectF(0, 0, errors.columns, errors.rows), look.panel, look.faint);
    const double width = area.width() / errors.columns, height = area.height() / errors.rows;
    painter.setFont(textFont(TextRole::axis));
    painter.setPen(look.soft);
    const auto label = [&](const QRectF& place, Qt::Alignment alignment, const QString& text) {
      painter.drawText(place, static_cast<int>(alignment), text);
    };
    label(QRectF(area.left() - kAxis, area.top(), kAxis - 6, 14), Qt::AlignRight | Qt::AlignTop, QStringLiteral("0"));
    label(QRectF(area.left() - kAxis, area.bottom() - 14, kAxis - 6, 14), Qt::AlignRight | Qt::AlignBottom,
          QString::number(errors.rows - 1));
    const QString& heads = record_.matrices[i].heads;
    const QString first = heads + QStringLiteral("0"), last = heads + QString::number(errors.columns - 1);
    label(QRectF(area.left(), area.bottom() + 3, 60, 14), Qt::AlignLeft | Qt::AlignVCenter, first);
    if (LogChart::textWidth(first) + LogChart::textWidth(last) + 4 <= area.width())
      label(QRectF(area.right() - 60, area.bottom() + 3, 60, 14), Qt::AlignRight | Qt::AlignVCenter, last);
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

QString ErrorView::scaleLabel(double part) const {
  return tickText(range_.low + part * range_.span(), range_.span() / 2);
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
    const QString text = scaleLabel(part);
    painter.drawText(QRectF(area.right() + kScaleGap, top, LogChart::textWidth(text) + 2, 14),
                     Qt::AlignLeft | Qt::AlignVCenter, text);
  }
}

void ErrorView::fillScatter(LogChart& chart, const QSizeF& size) const {
  const Palette& look = colours();
  const QString unit = tr("nats per token");
  chart.setAxes(size, 0, {loss_, tr("predicted"), unit, powerText}, {loss_, tr("measured"), unit, powerText});
  const QRectF& area = chart.area();
  const QPolygonF diagonal = {QPointF(loss_.value(0), loss_.value(0)), QPointF(loss_.value(1), loss_.value(1))};
  QPolygonF all, current;
  LabelPlaces places(QRectF(area.left(), 0, size.width() - area.left(), area.bottom()));
  places.takeLine(chart.place(diagonal));
  for (const PredictionPoint& point : record_.plans) {
    if (!hasPlace(point)) continue;
    all << QPointF(point.predicted, point.measured);
    if (point.current) current << all.back();
    const QPointF center = chart.place(point.predicted, point.measured);
    places.take(QRectF(center.x() - 6, center.y() - 6, 12, 12));
  }
  const QString diagonalName = tr("as predicted");
  const double width = LogChart::textWidth(diagonalName), height = LogChart::kTextHeight;
  const double length = std::hypot(area.width(), area.height());
  std::vector<LogChart::Text> texts;
  if (length > 2.5 * width) {
    // Below the line, near its upper end or, where that would cover a plan, its lower one.
    const double angle = -std::atan2(area.height(), area.width()) * 180 / M_PI;
    const QTransform turned = QTransform().translate(area.right(), area.top()).rotate(angle);
    const auto boxAt = [&](double from) { return QRectF(from, 5, width, height); };
    const auto covers = [&](const QRectF& box) {
      const QPolygonF plans = turned.inverted().map(chart.place(all));
      return std::ranges::any_of(plans, [&](const QPointF& plan) { return box.adjusted(-7, -7, 7, 7).contains(plan); });
    };
    const QRectF upper = boxAt(-width - 12), lower = boxAt(12 - length),
                 box = covers(upper) && !covers(lower) ? lower : upper;
    texts.push_back({box, diagonalName, look.soft, Qt::AlignLeft, area.topRight(), angle});
    places.takeLine(turned.map(QPolygonF({box.topLeft(), box.topRight()})));
    places.takeLine(turned.map(QPolygonF({box.bottomLeft(), box.bottomRight()})));
  }
  for (const PredictionPoint& point : record_.plans) {
    if (!point.current || point.label.isEmpty() || !hasPlace(point)) continue;
    const QSizeF room(std::min(LogChart::textWidth(point.label), area.width()), height);
    if (const auto place = places.takeBeside(chart.place(point.predicted, point.measured), kRing / 2.0, room))
      texts.push_back({*place, point.label, look.accent});
  }
  chart.setContent({{diagonal, QPen(look.soft, 1.2, Qt::DashLine)}},
                   {{current, kRing, look.accent},
                    {current, kRing - 3, look.panel},
                    {all, kMark + 2, look.panel},
                    {all, kMark, look.accent}},
                   texts);
}

void ErrorView::arrange() {
  fillScatter(scatter_, layoutIn(rect()).scatter.size());
  update();
}

void ErrorView::paintAll(QPainter& painter, const Layout& layout, LogChart& scatter) const {
  painter.save();
  paintTables(painter, layout);
  if (!layout.tables.empty()) paintScale(painter, layout.scale);
  if (!record_.plans.empty()) scatter.paint(painter, layout.scatter.topLeft());
  painter.restore();
}

void ErrorView::paintFigure(QPainter& painter, const QRectF& area) const {
  const Layout layout = layoutIn(area);
  LogChart scatter;
  fillScatter(scatter, layout.scatter.size());
  paintAll(painter, layout, scatter);
}

void ErrorView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  if (record_.matrices.empty() && record_.plans.empty()) {
    painter.setPen(colours().soft);
    painter.drawText(rect().adjusted(24, 24, -24, -24), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("Nothing measured yet: measure a plan to see where it errs and how well that was predicted."));
    return;
  }
  paintAll(painter, layoutIn(rect()), scatter_);
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

void ErrorView::resizeEvent(QResizeEvent*) { arrange(); }
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
