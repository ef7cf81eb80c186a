// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/quality_cost_view.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/plan/pareto.h"
#include "views/label_places.h"
#include "views/number_text.h"
#include "views/segmented_control.h"
#include "views/theme.h"
#include "views/view_state.h"

namespace kvista {
namespace {

constexpr double kReach = 12, kFocus = 9.5;
constexpr int kDiameter = 11, kSmallDiameter = 9, kOtherDiameter = 6, kRing = 19, kOutline = 4;
/// Below this a rise is within the noise of any measurement; it is shown at the lower edge.
constexpr double kSmallestRise = 1e-3;

/// As the kept state names them, in the order of Axis.
const QStringList kAxes = {QStringLiteral("bytes"), QStringLiteral("time"), QStringLiteral("parameters")};

/// "1/8", "2".
QString fractionText(int power) {
  return power < 0 ? QStringLiteral("1/%1").arg(1 << -power) : QString::number(1 << power);
}

bool isShown(const QPointF& point) { return point.x() > 0 && std::isfinite(point.x()) && std::isfinite(point.y()); }

QColor seriesColour(std::size_t index) {
  const Palette& look = colours();
  const std::array<QColor, 4> all = {look.warning, look.soft, look.valueText, look.text};
  return all[index % all.size()];
}

}  // namespace

QualityCostView::QualityCostView(QWidget* parent)
    : View(parent),
      axis_(new SegmentedControl({{QStringLiteral("bytes"), tr("bytes")},
                                  {QStringLiteral("time"), tr("time")},
                                  {QStringLiteral("parameters"), tr("weights")}},
                                 tr("Cost"), this)) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  axis_->hide();
  setTitle(tr("Quality and bytes"), tr("Pareto front"));
  connect(axis_, &SegmentedControl::chosen, this, [this](const QString& id) {
    showBy(id);
    Q_EMIT viewStateChanged();
  });
  connect(&Theme::instance(), &Theme::changed, this, &QualityCostView::arrange);
  setRecord({});
}

void QualityCostView::showBy(const QString& axis) {
  shown_ = static_cast<Axis>(kAxes.indexOf(axis));
  axis_->setCurrent(axis);
  const QString titles[] = {tr("Quality and bytes"), tr("Quality and time"), tr("Quality and weights")};
  setTitle(titles[static_cast<int>(shown_)], tr("Pareto front"));
  fit();
}

QJsonObject QualityCostView::viewState() const {
  if (shown_ == Axis::bytes) return {};
  return {{QStringLiteral("axis"), kAxes[static_cast<int>(shown_)]}};
}

bool QualityCostView::setViewState(const QJsonObject& state) {
  ViewStateReader reader(state);
  showBy(reader.choice("axis", kAxes));
  return reader.isSound();
}

QWidget* QualityCostView::controls() {
  axis_->show();
  return axis_;
}

std::optional<double> QualityCostView::costOf(const QualityCostPoint& point) const {
  const double cost = shown_ == Axis::time         ? point.timeShare.value_or(0)
                      : shown_ == Axis::parameters ? point.parameterShare.value_or(0)
                                                   : point.share;
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
  if (isComparison()) std::swap(least, most);  // From the first of the series to the last.
  if (shown_ != Axis::bytes) least = shown_ == Axis::time ? 1.0 / 4 : 1.0 / 2;
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
  if (shown_ == Axis::bytes)
    for (const QualityCostSeries& series : record_.others)
      for (const QPointF& point : series.points)
        if (isShown(point)) take(point.x(), point.y());
  if (isComparison()) most *= std::numbers::sqrt2;  // Names stand behind the last point.
  front_.clear();
  for (const std::size_t i : paretoFront(shown)) front_.push_back(order_[i]);
  std::sort(order_.begin(), order_.end(), [&](int a, int b) {
    return *costOf(record_.points[static_cast<std::size_t>(a)]) < *costOf(record_.points[static_cast<std::size_t>(b)]);
  });
  // Whole halvings and decades.
  cost_ = {std::floor(std::log2(least) + 1e-9) * std::log10(2.0), std::ceil(std::log2(most) - 1e-9) * std::log10(2.0)};
  rise_ = {std::log10(kSmallestRise), std::max(-1.0, std::log10(largestRise) + 0.15)};
  arrange();
}

/// Cost and rise as drawn.
QPointF QualityCostView::shownAt(const QPointF& point) const {
  return {point.x(), std::clamp(point.y(), rise_.value(0), rise_.value(1))};
}
QPointF QualityCostView::shownAt(const QualityCostPoint& point) const {
  return shownAt(QPointF(*costOf(point), point.rise));
}
bool QualityCostView::isComparison() const {
  return record_.points.empty() && !record_.others.empty() && shown_ == Axis::bytes;
}

/// What no other beats: of the plans, or of the series where there are no plans.
QPolygonF QualityCostView::frontLine() const {
  QPolygonF line;
  for (const int i : front_) line << shownAt(record_.points[static_cast<std::size_t>(i)]);
  if (!isComparison()) return line;
  std::vector<CostQuality> points;
  for (const QualityCostSeries& series : record_.others)
    for (const QPointF& point : series.points)
      if (isShown(point)) points.push_back({point.x(), point.y()});
  for (const std::size_t i : paretoFront(points)) line << shownAt(QPointF(points[i].cost, points[i].loss));
  return line;
}

std::optional<QPointF> QualityCostView::placeOf(int point) const {
  const QualityCostPoint& each = record_.points[static_cast<std::size_t>(point)];
  if (!costOf(each)) return std::nullopt;
  const QPointF value = shownAt(each);
  return chart_.place(value.x(), value.y());
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
  if (each.timeShare)
    lines << tr("decoding takes %1 of the uncompressed time (%2)").arg(percentText(*each.timeShare, 0), record_.timeOf);
  if (each.parameterShare) lines << tr("%1 of the original's parameters").arg(percentText(*each.parameterShare));
  lines
      << (each.measured ? tr("perplexity %1, measured") : tr("perplexity ~ %1, predicted")).arg(changeText(each.rise));
  if (std::find(front_.begin(), front_.end(), point) != front_.end())
    lines << tr("on the front: no plan tried is better in both");
  lines << (each.current ? tr("the plan that is open") : tr("Enter or a click brings this plan back"));
  return lines.join(QLatin1Char('\n'));
}

/// The series' point that is nearest, in words; empty where none is near.
QString QualityCostView::describeSeriesAt(const QPointF& position) const {
  QString words;
  double best = kReach * kReach;
  for (const QualityCostSeries& series : record_.others)
    for (const QPointF& point : series.points) {
      if (!isShown(point) || shown_ != Axis::bytes || (series.isContext && !isComparison())) continue;
      const QPointF value = shownAt(point), way = chart_.place(value.x(), value.y()) - position;
      const double distance = QPointF::dotProduct(way, way);
      if (distance > best) continue;
      best = distance;
      words = tr("%1\n%2 of the 16-bit cache, %3 times smaller\nperplexity %4")
                  .arg(series.label, percentText(point.x()), decimalText(1 / point.x(), 1), changeText(point.y()));
    }
  return words;
}

void QualityCostView::fill(LogChart& chart, const QSizeF& size) const {
  const auto share = [lowest = rise_.firstDecade()](int decade) {
    const QString text = percentText(std::pow(10.0, decade), std::max(0, -decade - 2));
    return decade == lowest ? tr("≤ %1").arg(text) : text;  // Smaller rises, and falls, are drawn there.
  };
  const QString names[] = {tr("share of the 16-bit cache"),
                           tr("decode time, share of the uncompressed (%1)").arg(record_.timeOf),
                           tr("parameters, share of the original's")};
  chart.setAxes(size, 0, {cost_, names[static_cast<int>(shown_)], {}, fractionText, 2},
                {rise_, tr("rise of perplexity"), {}, share});
  LabelPlaces places(QRectF(chart.area().left(), 0, size.width() - chart.area().left(), chart.area().bottom() + 8));
  for (int decade = rise_.firstDecade(); decade <= rise_.lastDecade(); ++decade)
    places.avoid(QRectF(0, chart.place(1, std::pow(10.0, decade)).y() - 1, size.width(), 2));
  std::vector<LogChart::Line> lines;
  std::vector<LogChart::Marks> marks;
  std::vector<LogChart::Text> texts;
  const QPolygonF front = frontLine();
  for (const int i : order_) {
    const QPointF value = shownAt(record_.points[static_cast<std::size_t>(i)]);
    const QPointF center = chart.place(value.x(), value.y());
    places.take(QRectF(center.x() - 6, center.y() - 6, 12, 12));
  }
  places.takeLine(chart.place(front));
  fillOthers(chart, lines, marks, texts, places);
  lines.push_back({front, QPen(colours().accent, 2, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin)});
  fillPoints(marks);
  namePoints(chart, texts, places);
  chart.setContent(lines, marks, texts);
}

void QualityCostView::fillOthers(LogChart& chart, std::vector<LogChart::Line>& lines,
                                 std::vector<LogChart::Marks>& marks, std::vector<LogChart::Text>& texts,
                                 LabelPlaces& places) const {
  if (shown_ != Axis::bytes) return;
  std::vector<QPolygonF> shown;
  for (const QualityCostSeries& series : record_.others) {
    QPolygonF& line = shown.emplace_back();
    for (const QPointF& point : series.points)
      if (isShown(point)) line << shownAt(point);
    places.takeLine(chart.place(line));
  }
  for (std::size_t s = 0; s < shown.size(); ++s) {
    if (shown[s].isEmpty()) continue;
    const QualityCostSeries& series = record_.others[s];
    const QColor colour = series.isContext ? colours().faint : seriesColour(s);
    lines.push_back({shown[s], QPen(colour, 1.2, Qt::DashLine)});
    // One point makes no line.
    if (!series.isContext || shown[s].size() == 1) marks.push_back({shown[s], kOtherDiameter, colour});
    const double room = std::min(LogChart::textWidth(series.label), chart.area().width());
    const auto nameBeside = [&](const QPointF& point) {
      const auto place =
          places.takeBeside(chart.place(point.x(), point.y()), kOtherDiameter / 2.0, {room, LogChart::kTextHeight});
      if (place) texts.push_back({*place, series.label, series.isContext ? colours().soft : colour});
      return place.has_value();
    };
    if (!nameBeside(shown[s].back())) nameBeside(shown[s].front());
  }
}

void QualityCostView::fillPoints(std::vector<LogChart::Marks>& marks) const {
  const Palette& look = colours();
  QPolygonF quiet, quietOpen, strong, strongOpen, current;
  for (const int i : order_) {
    const QualityCostPoint& point = record_.points[static_cast<std::size_t>(i)];
    const bool onFront = std::find(front_.begin(), front_.end(), i) != front_.end();
    const bool isStrong = onFront || point.current;
    const QPointF value = shownAt(point);
    (isStrong ? strong : quiet) << value;
    // Filled where measured, open where predicted.
    if (!point.measured) (isStrong ? strongOpen : quietOpen) << value;
    if (point.current) current << value;
  }
  marks.insert(marks.end(), {{quiet, kSmallDiameter, look.soft},
                             {quietOpen, kSmallDiameter - kOutline, look.panel},
                             {current, kRing, look.accent},
                             {current, kRing - 3, look.panel},
                             {strong, kDiameter, look.accent},
                             {strongOpen, kDiameter - kOutline, look.panel}});
}

void QualityCostView::namePoints(const LogChart& chart, std::vector<LogChart::Text>& texts, LabelPlaces& places) const {
  const auto name = [&](int i) {
    const QualityCostPoint& point = record_.points[static_cast<std::size_t>(i)];
    if (point.label.isEmpty()) return;
    const QPointF value = shownAt(point);
    const double radius = (point.current ? kRing : kDiameter) / 2.0;
    const double room = std::min(LogChart::textWidth(point.label), chart.area().width());
    if (const auto place = places.takeBeside(chart.place(value.x(), value.y()), radius, {room, LogChart::kTextHeight}))
      texts.push_back({*place, point.label, point.current ? colours().accent : colours().soft});
  };
  for (const int i : order_)
    if (record_.points[static_cast<std::size_t>(i)].current) name(i);
  for (const int i : front_)
    if (!record_.points[static_cast<std::size_t>(i)].current) name(i);
}

void QualityCostView::arrange() {
  fill(chart_, size());
  update();
}

void QualityCostView::paintFigure(QPainter& painter, const QRectF& area) const {
  LogChart chart;
  fill(chart, area.size());
  chart.paint(painter, area.topLeft());
}

void QualityCostView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  if (record_.points.empty() && record_.others.empty()) {
    painter.setPen(colours().soft);
    painter.drawText(rect().adjusted(24, 24, -24, -24), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("No plan tried yet: every plan that you measure becomes a point here."));
    return;
  }
  chart_.paint(painter, {});
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(colours().text, 1.5));
  for (const auto& point : {hover_, hasFocus() ? cursor_ : std::nullopt}) {
    const auto center = point ? placeOf(*point) : std::nullopt;
    if (center) painter.drawEllipse(*center, kFocus, kFocus);
  }
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

void QualityCostView::resizeEvent(QResizeEvent*) { arrange(); }

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
    const auto point = pointAt(help->pos());
    QToolTip::showText(help->globalPos(), point ? describe(*point) : describeSeriesAt(help->pos()),
                       this);  // No words hide it.
    return true;
  }
  return View::event(event);
}

}  // namespace kvista
