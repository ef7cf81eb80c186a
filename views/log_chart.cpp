// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/log_chart.h"

#include <QChart>
#include <QFontMetricsF>
#include <QGraphicsLayout>
#include <QGraphicsSimpleTextItem>
#include <QLegend>
#include <QLineSeries>
#include <QLogValueAxis>
#include <QPainter>
#include <QScatterSeries>
#include <algorithm>
#include <cmath>
#include <utility>

#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kMargin = 11, kGap = 4, kTextsZ = 1000;

QFontMetricsF metrics() { return QFontMetricsF(textFont(TextRole::axis)); }

/// The powers of the base that lie on an axis.
std::pair<int, int> powersOf(const LogChart::Axis& axis) {
  const double one = std::log10(axis.base);
  return {static_cast<int>(std::ceil(axis.scale.low / one - 1e-9)),
          static_cast<int>(std::floor(axis.scale.high / one + 1e-9))};
}

/// As many series of the chart as are wanted; those that stay are given new points, which is cheaper than new series.
template <class Series>
void resize(QChart& chart, std::vector<Series*>& series, std::size_t count, QAbstractAxis* x, QAbstractAxis* y) {
  while (series.size() > count) {
    chart.removeSeries(series.back());
    delete series.back();
    series.pop_back();
  }
  while (series.size() < count) {
    series.push_back(new Series);
    chart.addSeries(series.back());
    series.back()->attachAxis(x);
    series.back()->attachAxis(y);
  }
}

/// Qt Charts paints a solid line piece by piece: joints would be darker than the rest, and files large. A line of
/// dashes it paints as one; so a solid line is one dash that does not end.
QPen asOnePath(QPen pen) {
  if (pen.style() == Qt::SolidLine) pen.setDashPattern({1e6, 1.0});
  return pen;
}

void show(QGraphicsItem* parent, std::vector<QGraphicsSimpleTextItem*>& items,
          const std::vector<LogChart::Text>& texts) {
  for (; items.size() > texts.size(); items.pop_back()) delete items.back();
  while (items.size() < texts.size()) {
    items.push_back(new QGraphicsSimpleTextItem(parent));
    items.back()->setFont(textFont(TextRole::axis));
    items.back()->setZValue(kTextsZ);
  }
  const QFontMetricsF font = metrics();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const LogChart::Text& text = texts[i];
    // A little more than the room: what was measured to fit shall not be shortened by rounding.
    const QString shown = font.elidedText(text.text, Qt::ElideRight, text.box.width() + 0.5);
    const double spare = text.box.width() - font.horizontalAdvance(shown);
    const double part = text.alignment == Qt::AlignLeft ? 0 : text.alignment == Qt::AlignRight ? 1 : 0.5;
    items[i]->setText(shown);
    items[i]->setBrush(text.colour);
    items[i]->setPos(text.corner);
    items[i]->setTransform(
        QTransform()
            .rotate(text.angle)
            .translate(text.box.left() + part * spare, text.box.top() + (text.box.height() - font.height()) / 2));
  }
}

}  // namespace

LogChart::LogChart() : chart_(new QChart), xAxis_(new QLogValueAxis), yAxis_(new QLogValueAxis) {
  scene_.setItemIndexMethod(QGraphicsScene::NoIndex);  // All of it is always drawn.
  scene_.addItem(chart_);
  chart_->setBackgroundVisible(false);
  chart_->legend()->hide();
  chart_->setMargins({});
  chart_->layout()->setContentsMargins(0, 0, 0, 0);
  chart_->addAxis(xAxis_, Qt::AlignBottom);
  chart_->addAxis(yAxis_, Qt::AlignLeft);
  for (QLogValueAxis* axis : {xAxis_, yAxis_}) {
    axis->setLineVisible(false);
    // They know numbers, but neither "1/8" nor "10 %" nor which of them to leave out: see nameTicks().
    axis->setLabelsVisible(false);
  }
}

double LogChart::textWidth(const QString& text) { return std::ceil(metrics().horizontalAdvance(text)); }

void LogChart::setAxes(const QSizeF& size, double right, const Axis& x, const Axis& y) {
  size_ = size;
  x_ = x;
  y_ = y;
  double left = 0;
  for (auto [power, last] = powersOf(y); power <= last; ++power) left = std::max(left, textWidth(y.text(power)));
  left += kMargin + kGap + kOverhang;
  const double top = kGap + kTextHeight + kGap + kOverhang, bottom = kOverhang + 2 * (kGap + kTextHeight) + kGap;
  area_ = QRectF(left, top, std::max(1.0, size.width() - left - std::max(right, kMargin + kOverhang)),
                 std::max(1.0, size.height() - top - bottom));
  axesAreDue_ = true;
}

void LogChart::layOutAxes() {
  chart_->resize(size_);
  chart_->setPlotArea(area_.adjusted(-kOverhang, -kOverhang, kOverhang, kOverhang));
  const auto set = [](QLogValueAxis* axis, const Axis& what, double length) {
    const double beyond = kOverhang / length;
    axis->setBase(what.base);
    axis->setRange(what.scale.value(-beyond), what.scale.value(1 + beyond));
    axis->setGridLinePen(QPen(colours().hairline, 1));
  };
  set(xAxis_, x_, area_.width());
  set(yAxis_, y_, area_.height());
  // At once, not when events are handled: figures are painted without.
  chart_->layout()->invalidate();
  chart_->layout()->activate();
  std::vector<Text> texts;
  nameTicks(texts);
  nameAxes(texts);
  show(chart_, axisTexts_, texts);
}

void LogChart::nameTicks(std::vector<Text>& texts) const {
  double free = 0;
  for (auto [power, last] = powersOf(x_); power <= last; ++power) {
    const QString text = x_.text(power);
    const double width = textWidth(text), at = place(std::pow(x_.base, power), 1).x() - width / 2;
    if (at < free || at + width > size_.width()) continue;
    free = at + width + 2 * kGap;
    texts.push_back(
        {QRectF(at, area_.bottom() + kOverhang + kGap, width, kTextHeight), text, colours().soft, Qt::AlignHCenter});
  }
  free = area_.bottom() + kOverhang + kTextHeight;
  const double width = area_.left() - kOverhang - kGap;
  for (auto [power, last] = powersOf(y_); power <= last; ++power) {
    const double at = place(1, std::pow(y_.base, power)).y() - kTextHeight / 2;
    if (at + kTextHeight > free) continue;
    free = at;
    texts.push_back({QRectF(0, at, width, kTextHeight), y_.text(power), colours().soft, Qt::AlignRight});
  }
}

void LogChart::nameAxes(std::vector<Text>& texts) const {
  const double room = size_.width() - 2 * kMargin;
  const auto fitting = [&](const Axis& axis) {
    const QString whole = axis.unit.isEmpty() ? axis.name : axis.name + QStringLiteral(", ") + axis.unit;
    return textWidth(whole) <= room ? whole : axis.name;
  };
  texts.push_back({QRectF(kMargin, kGap, room, kTextHeight), fitting(y_), colours().soft});
  const QString name = fitting(x_);
  const double width = std::min(textWidth(name), room);
  const double left = std::clamp(area_.center().x() - width / 2, kMargin, kMargin + room - width);
  texts.push_back(
      {QRectF(left, area_.bottom() + kOverhang + 2 * kGap + kTextHeight, width, kTextHeight), name, colours().soft});
}

void LogChart::setContent(std::vector<Line> lines, std::vector<Marks> marks, std::vector<Text> texts) {
  content_ = {std::move(lines), std::move(marks), std::move(texts)};
  contentIsDue_ = true;
}

void LogChart::layOutContent() {
  const auto& [lines, marks, texts] = content_;
  // What was added last lies above: marks are added anew when a line is.
  if (lines.size() > lines_.size()) resize(*chart_, marks_, 0, xAxis_, yAxis_);
  resize(*chart_, lines_, lines.size(), xAxis_, yAxis_);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    lines_[i]->setPen(asOnePath(lines[i].pen));
    // A line that stays is not prepared again.
    if (lines_[i]->points() != lines[i].values) lines_[i]->replace(lines[i].values);
  }
  resize(*chart_, marks_, marks.size(), xAxis_, yAxis_);
  for (std::size_t i = 0; i < marks.size(); ++i) {
    marks_[i]->setMarkerSize(marks[i].diameter);
    marks_[i]->setPen(Qt::NoPen);
    marks_[i]->setBrush(marks[i].colour);
    marks_[i]->replace(marks[i].values);
  }
  show(chart_, texts_, texts);
}

QPointF LogChart::place(double x, double y) const {
  return {area_.left() + x_.scale.part(x) * area_.width(), area_.bottom() - y_.scale.part(y) * area_.height()};
}

QPolygonF LogChart::place(const QPolygonF& values) const {
  QPolygonF points;
  for (const QPointF& value : values) points << place(value.x(), value.y());
  return points;
}

void LogChart::paint(QPainter& painter, const QPointF& corner) {
  if (std::exchange(axesAreDue_, false)) layOutAxes();
  if (std::exchange(contentIsDue_, false)) layOutContent();
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  scene_.render(&painter, QRectF(corner, size_), QRectF(QPointF(), size_), Qt::IgnoreAspectRatio);
  painter.restore();
}

}  // namespace kvista
