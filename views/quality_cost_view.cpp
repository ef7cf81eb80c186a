// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/quality_cost_view.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "core/plan/pareto.h"
#include "views/number_text.h"
#include "views/segmented_control.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kLeft = 56, kRight = 24, kTop = 28, kBottom = 48, kReach = 12, kRadius = 4.5;
/// Below this a rise is within the noise of any measurement; it is shown at the lower edge.
constexpr double kSmallestRise = 1e-3;

/// "1/8", "2".
QString fractionText(int power) {
  return power < 0 ? QStringLiteral("1/%1").arg(1 << -power) : QString::number(1 << power);
}

/// Where a line runs nothing shall be written.
void takeLine(const QPolygonF& line, std::vector<QRectF>& taken) {
  for (qsizetype i = 1; i < line.size(); ++i) {
    const QPointF way = line[i] - line[i - 1];
    const int steps = 1 + static_cast<int>(std::hypot(way.x(), way.y()) / 4);
    for (int s = 0; s <= steps; ++s) {
      const QPointF at = line[i - 1] + way * s / steps;
      taken.emplace_back(at.x() - 2, at.y() - 2, 4, 4);
    }
  }
}

QColor seriesColour(std::size_t index) { return index % 2 == 0 ? colours().warning : colours().soft; }

}  // namespace

QualityCostView::QualityCostView(QWidget* parent)
    : View(parent),
      axis_(new SegmentedControl({{QStringLiteral("bytes"), tr("bytes")}, {QStringLiteral("time"), tr("time")}},
                                 tr("Cost"), this)) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  axis_->hide();
  setTitle(tr("Quality and bytes"), tr("Pareto front"));
  connect(axis_, &SegmentedControl::chosen, this, [this](const QString& id) {
    byTime_ = id == QStringLiteral("time");
    setTitle(byTime_ ? tr("Quality and time") : tr("Quality and bytes"), tr("Pareto front"));
    fit();
  });
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
  setRecord({});
}

QWidget* QualityCostView::controls() {
  axis_->show();
  return axis_;
}

std::optional<double> QualityCostView::costOf(const QualityCostPoint& point) const {
  const double cost = byTime_ ? point.timeShare.value_or(0) : point.share;
  return cost > 0 && std::isfinite(cost) && std::isfinite(point.rise) ? std::optional(cost) : std::nullopt;
}

void QualityCostView::setRecord(QualityCostRecord record) {
  record_ = std::move(record);
  hover_.reset();
  if (cursor_ && *cursor_ >= static_cast<int>(record_.points.size())) cursor_.reset();
  setAccessibleName(title());
  fit();
}

void QualityCostView::fit() {
  std::vector<CostQuality> shown;
  order_.clear();
  double least = 1.0 / 32, most = 1, largestRise = 0.1;
  if (byTime_) least = 1.0 / 4;
  const auto take = [&](double cost, double rise) {
    least = std::min(least, cost);
    most = std::max(most, cost);
    largestRise = std::max(largestRise, rise);
  };
  for (int i = 0; i < static_cast<int>(record_.points.size()); ++i) {
    const QualityCostPoint& point = record_.points[static_cast<std::size_t>(i)];
    const auto cost = costOf(point);
    if (!cost) continue;
    order_.push_back(i);
    shown.push_back({*cost, point.rise});
    take(*cost, point.rise);
  }
  if (!byTime_)
    for (const QualityCostSeries& series : record_.others)
      for (const QPointF& point : series.points)
        if (point.x() > 0 && std::isfinite(point.y())) take(point.x(), point.y());
  front_.clear();
  for (const std::size_t i : paretoFront(shown)) front_.push_back(order_[i]);
  std::sort(order_.begin(), order_.end(), [&](int a, int b) {
    return *costOf(record_.points[static_cast<std::size_t>(a)]) < *costOf(record_.points[static_cast<std::size_t>(b)]);
  });
  // Whole halvings and decades.
  cost_ = {std::floor(std::log2(least) + 1e-9) * std::log10(2.0), std::ceil(std::log2(most) - 1e-9) * std::log10(2.0)};
  rise_ = {std::log10(kSmallestRise), std::max(-1.0, std::log10(largestRise) + 0.15)};
  update();
}

QRectF QualityCostView::plotIn(const QRectF& area) const { return area.adjusted(kLeft, kTop, -kRight, -kBottom); }

QPointF QualityCostView::place(const QRectF& plot, double cost, double rise) const {
  return {plot.left() + cost_.part(cost) * plot.width(),
          plot.bottom() - std::clamp(rise_.part(rise), 0.0, 1.0) * plot.height()};
}

std::optional<QPointF> QualityCostView::placeOf(int point) const {
  const QualityCostPoint& each = record_.points[static_cast<std::size_t>(point)];
  const auto cost = costOf(each);
  return cost ? std::optional(place(plotIn(rect()), *cost, each.rise)) : std::nullopt;
}

std::optional<int> QualityCostView::pointAt(const QPointF& position) const {
  std::optional<int> nearest;
  double best = kReach * kReach;
  for (const int i : order_) {
    const QPointF way = *placeOf(i) - position;
    const double distance = QPointF::dotProduct(way, way);
    if (distance <= best) {
      best = distance;
      nearest = i;
    }
  }
  return nearest;
}

QString QualityCostView::describe(int point) const {
  const QualityCostPoint& each = record_.points[static_cast<std::size_t>(point)];
  QStringList lines;
  if (!each.label.isEmpty()) lines << each.label;
  lines << tr("%1 of the 16-bit cache, %2 times smaller")
               .arg(percentText(each.share), decimalText(each.share > 0 ? 1 / each.share : 0, 1));
  if (each.timeShare) lines << tr("decoding takes %1 of the uncompressed time").arg(percentText(*each.timeShare, 0));
  lines
      << (each.measured ? tr("perplexity %1, measured") : tr("perplexity ~ %1, predicted")).arg(changeText(each.rise));
  if (std::find(front_.begin(), front_.end(), point) != front_.end())
    lines << tr("on the front: no plan tried is better in both");
  lines << (each.current ? tr("the plan that is open") : tr("Enter or a click brings this plan back"));
  return lines.join(QLatin1Char('\n'));
}

void QualityCostView::paintAxes(QPainter& painter, const QRectF& plot) const {
  const Palette& look = colours();
  painter.setFont(textFont(TextRole::axis));
  const double log2 = std::log10(2.0);
  const int first = static_cast<int>(std::lround(cost_.low / log2)),
            last = static_cast<int>(std::lround(cost_.high / log2));
  const int every = std::max(1, static_cast<int>(std::ceil((last - first) * 36.0 / std::max(plot.width(), 1.0))));
  for (int power = last; power >= first; power -= every) {
    const double x = place(plot, std::pow(2.0, power), 1).x();
    painter.setPen(QPen(look.hairline, 1));
    painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()));
    painter.setPen(look.soft);
    painter.drawText(QRectF(x - 30, plot.bottom() + 4, 60, 16), Qt::AlignCenter, fractionText(power));
  }
  for (int decade = rise_.firstDecade(); decade <= rise_.lastDecade(); ++decade) {
    const double y = place(plot, 1, std::pow(10.0, decade)).y();
    painter.setPen(QPen(look.hairline, 1));
    painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y));
    painter.setPen(look.soft);
    painter.drawText(QRectF(plot.left() - kLeft, y - 8, kLeft - 8, 16), Qt::AlignRight | Qt::AlignVCenter,
                     percentText(std::pow(10.0, decade), std::max(0, -decade - 2)));
  }
  painter.drawText(QRectF(plot.left(), plot.bottom() + 22, plot.width(), 18), Qt::AlignCenter,
                   byTime_ ? tr("decode time, share of the uncompressed") : tr("share of the 16-bit cache"));
  painter.setPen(look.soft);
  painter.drawText(QRectF(plot.left() - kLeft + 12, plot.top() - kTop + 6, 160, 14), Qt::AlignLeft | Qt::AlignVCenter,
                   tr("rise of perplexity"));
}

void QualityCostView::paintOthers(QPainter& painter, const QRectF& plot) const {
  if (byTime_) return;
  painter.setFont(textFont(TextRole::axis));
  for (std::size_t s = 0; s < record_.others.size(); ++s) {
    const QualityCostSeries& series = record_.others[s];
    const QColor colour = series.isContext ? colours().faint : seriesColour(s);
    QPolygonF line;
    for (const QPointF& point : series.points)
      if (point.x() > 0 && std::isfinite(point.y())) line << place(plot, point.x(), point.y());
    if (line.isEmpty()) continue;
    painter.setPen(QPen(colour, 1.2, Qt::DashLine));
    painter.setBrush(Qt::NoBrush);
    painter.drawPolyline(line);
    painter.setPen(Qt::NoPen);
    painter.setBrush(colour);
    if (!series.isContext)
      for (const QPointF& point : line) painter.drawEllipse(point, 3, 3);
    painter.setPen(series.isContext ? colours().soft : colour);
    const double width = painter.fontMetrics().horizontalAdvance(series.label) + 4;
    const QPointF end = line.back();
    // Beside its last point; above it where the edge is near.
    const bool room = end.x() + 8 + width <= plot.right() + kRight;
    painter.drawText(room ? QRectF(end.x() + 8, end.y() - 8, width, 16)
                          : QRectF(std::min(end.x(), plot.right() + kRight - 4) - width, end.y() - 22, width, 16),
                     Qt::AlignVCenter | Qt::AlignLeft, series.label);
  }
}

void QualityCostView::paintPoints(QPainter& painter, const QRectF& plot, bool interactive) const {
  const Palette& look = colours();
  QPolygonF line;
  for (const int i : front_)
    line << place(plot, *costOf(record_.points[static_cast<std::size_t>(i)]),
                  record_.points[static_cast<std::size_t>(i)].rise);
  painter.setPen(QPen(look.accent, 2, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
  painter.setBrush(Qt::NoBrush);
  painter.drawPolyline(line);
  std::vector<QRectF> taken;
  for (const int i : order_) {
    const QualityCostPoint& point = record_.points[static_cast<std::size_t>(i)];
    const QPointF center = place(plot, *costOf(point), point.rise);
    taken.emplace_back(center.x() - 6, center.y() - 6, 12, 12);
  }
  takeLine(line, taken);
  if (!byTime_)
    for (const QualityCostSeries& series : record_.others) {
      QPolygonF other;
      for (const QPointF& point : series.points)
        if (point.x() > 0 && std::isfinite(point.y())) other << place(plot, point.x(), point.y());
      takeLine(other, taken);
    }
  for (const int i : order_) {
    const QualityCostPoint& point = record_.points[static_cast<std::size_t>(i)];
    const QPointF center = place(plot, *costOf(point), point.rise);
    const bool onFront = std::find(front_.begin(), front_.end(), i) != front_.end();
    const QColor colour = onFront || point.current ? look.accent : look.soft;
    const double radius = onFront || point.current ? kRadius : 3.5;
    if (point.current) {
      painter.setPen(QPen(look.accent, 1.5));
      painter.setBrush(look.panel);
      painter.drawEllipse(center, radius + 4, radius + 4);
    }
    painter.setPen(QPen(colour, 2));
    painter.setBrush(point.measured ? colour : look.panel);
    painter.drawEllipse(center, radius, radius);
    if (interactive && (hover_ == i || (hasFocus() && cursor_ == i))) {
      painter.setPen(QPen(look.text, 1.5));
      painter.setBrush(Qt::NoBrush);
      painter.drawEllipse(center, radius + 5, radius + 5);
    }
  }
  // Names beside their points, where they cover nothing.
  painter.setFont(textFont(TextRole::axis));
  const auto name = [&](int i) {
    const QualityCostPoint& point = record_.points[static_cast<std::size_t>(i)];
    if (point.label.isEmpty()) return;
    const QPointF center = place(plot, *costOf(point), point.rise);
    const double width = painter.fontMetrics().horizontalAdvance(point.label) + 4;
    const double right = center.x() + 10, left = center.x() - width - 8, above = center.y() - 20,
                 below = center.y() + 5;
    for (const QRectF& area :
         {QRectF(right, above, width, 15), QRectF(left, below, width, 15), QRectF(left, above, width, 15),
          QRectF(right, below, width, 15), QRectF(center.x() - width / 2, above - 4, width, 15)}) {
      if (area.left() < plot.left() || area.right() > plot.right() + kRight || area.top() < 0 ||
          area.bottom() > plot.bottom())
        continue;
      if (std::any_of(taken.begin(), taken.end(), [&](const QRectF& other) { return other.intersects(area); }))
        continue;
      painter.setPen(point.current ? look.accent : look.soft);
      painter.drawText(area, Qt::AlignVCenter | Qt::AlignLeft, point.label);
      taken.push_back(area);
      return;
    }
  };
  for (const int i : order_)
    if (record_.points[static_cast<std::size_t>(i)].current) name(i);
  for (const int i : front_)
    if (!record_.points[static_cast<std::size_t>(i)].current) name(i);
}

void QualityCostView::paintFigure(QPainter& painter, const QRectF& area) const {
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  const QRectF plot = plotIn(area);
  paintAxes(painter, plot);
  paintOthers(painter, plot);
  paintPoints(painter, plot, false);
  painter.restore();
}

void QualityCostView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  if (record_.points.empty() && record_.others.empty()) {
    painter.setPen(colours().soft);
    painter.drawText(rect().adjusted(24, 24, -24, -24), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("No plan tried yet: every plan that you measure becomes a point here."));
    return;
  }
  const QRectF plot = plotIn(rect());
  paintAxes(painter, plot);
  paintOthers(painter, plot);
  paintPoints(painter, plot, true);
}

void QualityCostView::mouseMoveEvent(QMouseEvent* event) {
  const auto point = pointAt(event->position());
  setCursor(point ? Qt::PointingHandCursor : Qt::ArrowCursor);
  if (point == hover_) return;
  hover_ = point;
  update();
}

void QualityCostView::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  if (const auto point = pointAt(event->position())) {
    setCursorPoint(point);
    Q_EMIT planActivated(record_.points[static_cast<std::size_t>(*point)].fingerprint);
  }
}

void QualityCostView::leaveEvent(QEvent*) {
  hover_.reset();
  update();
}

void QualityCostView::setCursorPoint(std::optional<int> point) {
  cursor_ = point;
  setAccessibleDescription(point ? describe(*point) : QString());
  update();
}

void QualityCostView::keyPressEvent(QKeyEvent* event) {
  const int key = event->key();
  if (order_.empty()) return View::keyPressEvent(event);
  const auto at = cursor_ ? std::find(order_.begin(), order_.end(), *cursor_) : order_.end();
  const auto place = static_cast<int>(at - order_.begin()), last = static_cast<int>(order_.size()) - 1;
  const bool isSet = at != order_.end();
  if (key == Qt::Key_Right || key == Qt::Key_Left) {
    const int next =
        !isSet ? (key == Qt::Key_Right ? 0 : last) : std::clamp(place + (key == Qt::Key_Right ? 1 : -1), 0, last);
    setCursorPoint(order_[static_cast<std::size_t>(next)]);
    if (const auto where = placeOf(*cursor_))
      QToolTip::showText(mapToGlobal(where->toPoint() + QPoint(12, 12)), describe(*cursor_), this);
  } else if (key == Qt::Key_Home || key == Qt::Key_End) {
    setCursorPoint(key == Qt::Key_Home ? order_.front() : order_.back());
  } else if ((key == Qt::Key_Return || key == Qt::Key_Enter) && isSet) {
    Q_EMIT planActivated(record_.points[static_cast<std::size_t>(*cursor_)].fingerprint);
  } else {
    View::keyPressEvent(event);
  }
}

void QualityCostView::focusInEvent(QFocusEvent*) { update(); }
void QualityCostView::focusOutEvent(QFocusEvent*) { update(); }

bool QualityCostView::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    if (const auto point = pointAt(help->pos()))
      QToolTip::showText(help->globalPos(), describe(*point), this);
    else
      QToolTip::hideText();
    return true;
  }
  return View::event(event);
}

}  // namespace kvista
