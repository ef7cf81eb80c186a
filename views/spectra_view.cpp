// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/spectra_view.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "views/number_text.h"
#include "views/segmented_control.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kLabelHeight = 15, kLabelRoom = 96, kReach = 16, kDecadesShown = 9;

QString unitOf(const SpectraRecord& record) {
  return record.unit.isEmpty() ? SpectraView::tr("nats per token") : record.unit;
}

}  // namespace

SpectraView::SpectraView(QWidget* parent)
    : View(parent),
      shown_(new SegmentedControl(
          {{QStringLiteral("eigenvalues"), tr("eigenvalues")}, {QStringLiteral("tails"), tr("tails")}}, tr("Curves"),
          this)) {
  setMouseTracking(true);
  shown_->hide();
  shown_->setToolTip(
      tr("Eigenvalues: what each direction carries. Tails: half of what is lost when only the first directions are "
         "kept."));
  connect(shown_, &SegmentedControl::chosen, this, [this](const QString& id) {
    tails_ = id == QStringLiteral("tails");
    prepare();
  });
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
  setRecord({});
}

QWidget* SpectraView::controls() {
  shown_->show();
  return shown_;
}

void SpectraView::setRecord(SpectraRecord record) {
  record_ = std::move(record);
  setTitle(tr("Spectra"), record_.what);
  setAccessibleName(title());
  prepare();
}

void SpectraView::prepare() {
  values_.clear();
  double largest = 0, smallest = 0;
  std::size_t longest = 1;
  for (const SpectrumCurve& curve : record_.curves) {
    std::vector<double> values(curve.eigenvalues.begin(), curve.eigenvalues.end());
    for (double& value : values) value = std::isfinite(value) ? std::max(value, 0.0) : 0.0;
    if (tails_) {
      double tail = 0;
      for (auto value = values.rbegin(); value != values.rend(); ++value) {
        const double own = *value;
        *value = tail / 2;
        tail += own;
      }
    }
    for (const double value : values) {
      if (!(value > 0)) continue;
      largest = std::max(largest, value);
      smallest = smallest > 0 ? std::min(smallest, value) : value;
    }
    longest = std::max(longest, values.size());
    values_.push_back(std::move(values));
  }
  x_ = {0, std::log10(static_cast<double>(std::max<std::size_t>(longest, 2)))};
  y_.high = largest > 0 ? std::log10(largest) + 0.1 : 0;
  y_.low = std::min(y_.high - 1, std::max(smallest > 0 ? std::log10(smallest) : -1, y_.high - kDecadesShown));
  hover_.reset();
  update();
}

LogPlot SpectraView::plotIn(const QRectF& area) const {
  LogPlot plot;
  plot.area = LogPlot::areaIn(area, std::min(kLabelRoom, area.width() / 4));
  plot.x = x_;
  plot.y = y_;
  plot.xName = tails_ ? tr("directions kept") : tr("direction");
  plot.yName = tails_ ? tr("lost when the others are dropped, %1").arg(unitOf(record_))
                      : tr("eigenvalue, %1").arg(unitOf(record_));
  plot.xLabel = [](int decade) { return countText(static_cast<std::int64_t>(std::llround(std::pow(10.0, decade)))); };
  return plot;
}

double SpectraView::valueAt(std::size_t curve, int direction) const {
  return values_[curve][static_cast<std::size_t>(direction) - 1];
}

QPolygonF SpectraView::pointsOf(std::size_t curve, const QRectF& plotArea) const {
  const std::vector<double>& values = values_[curve];
  LogPlot plot;
  plot.area = plotArea;
  plot.x = x_;
  plot.y = y_;
  QPolygonF points;
  // The first and the last direction of every column: what falls between them is between them.
  const auto put = [&](std::size_t i) {
    if (!(values[i] > 0)) return;
    const QPointF point = plot.place(static_cast<double>(i + 1), values[i]);
    if (points.isEmpty() || points.back() != point) points << point;
  };
  for (std::size_t first = 0; first < values.size();) {
    const double column = std::floor(plot.place(static_cast<double>(first + 1), 1).x());
    std::size_t last = first;
    const double edge = plot.x.value((column + 1 - plotArea.left()) / plotArea.width());
    if (edge > static_cast<double>(first + 2))
      last = std::min(values.size(), static_cast<std::size_t>(std::ceil(edge)) - 1) - 1;
    put(first);
    if (last > first) put(last);
    first = std::max(last, first) + 1;
  }
  return points;
}

std::optional<SpectraView::Spot> SpectraView::spotAt(const QPointF& place) const {
  const LogPlot plot = plotIn(rect());
  if (!plot.area.adjusted(-4, -4, 4, 4).contains(place)) return std::nullopt;
  const int direction = static_cast<int>(std::lround(plot.x.value((place.x() - plot.area.left()) / plot.area.width())));
  std::optional<Spot> nearest;
  double best = kReach;
  for (std::size_t c = 0; c < values_.size(); ++c) {
    if (values_[c].empty()) continue;
    const int own = std::clamp(direction, 1, static_cast<int>(values_[c].size()));
    const double distance = std::abs(plot.place(own, valueAt(c, own)).y() - place.y());
    if (distance > best) continue;
    best = distance;
    nearest = Spot{c, own};
  }
  return nearest;
}

QString SpectraView::describe(const Spot& spot) const {
  const SpectrumCurve& curve = record_.curves[spot.curve];
  const QString value = significantText(valueAt(spot.curve, spot.direction), 4) + QLatin1Char(' ') + unitOf(record_);
  return tails_ ? tr("%1 · %2 of %3 directions kept · %4 lost")
                      .arg(curve.label, countText(spot.direction),
                           countText(static_cast<std::int64_t>(curve.eigenvalues.size())), value)
                : tr("%1 · direction %2 of %3 · %4")
                      .arg(curve.label, countText(spot.direction),
                           countText(static_cast<std::int64_t>(curve.eigenvalues.size())), value);
}

void SpectraView::paintFigure(QPainter& painter, const QRectF& area) const {
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  const LogPlot plot = plotIn(area);
  plot.paintAxes(painter);
  std::vector<double> wanted;
  for (std::size_t c = 0; c < values_.size(); ++c) {
    const QPolygonF points = pointsOf(c, plot.area);
    wanted.push_back(
        (points.isEmpty() ? plot.area.bottom() : std::clamp(points.back().y(), plot.area.top(), plot.area.bottom())) -
        kLabelHeight / 2);
    painter.save();
    painter.setClipRect(plot.area.adjusted(-2, -2, 2, 2));
    painter.setPen(QPen(lineColour(c), 1.6, c < kLineColours ? Qt::SolidLine : Qt::DashLine));
    painter.setBrush(Qt::NoBrush);
    painter.drawPolyline(points);
    const int rank = record_.curves[c].rank;
    if (rank > 0 && rank <= static_cast<int>(values_[c].size()) && valueAt(c, rank) > 0) {
      painter.setPen(QPen(colours().panel, 1.5));
      painter.setBrush(lineColour(c));
      painter.drawEllipse(plot.place(rank, valueAt(c, rank)), 4.5, 4.5);
    }
    painter.restore();
  }
  const std::vector<double> placed =
      spreadLabels(wanted, kLabelHeight, plot.area.top() - kLabelHeight / 2, plot.area.bottom() - kLabelHeight / 2);
  painter.setFont(textFont(TextRole::axis));
  const double room = area.right() - plot.area.right() - 12;
  for (std::size_t c = 0; c < values_.size(); ++c) {
    painter.setPen(lineColour(c));
    painter.drawText(QRectF(plot.area.right() + 8, placed[c], room, kLabelHeight), Qt::AlignVCenter,
                     painter.fontMetrics().elidedText(record_.curves[c].label, Qt::ElideRight, static_cast<int>(room)));
  }
  painter.restore();
}

void SpectraView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  if (record_.curves.empty()) {
    painter.setPen(colours().soft);
    painter.drawText(rect().adjusted(24, 24, -24, -24), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("Select groups or heads to see their spectra."));
    return;
  }
  paintFigure(painter, rect());
  if (!hover_) return;
  const LogPlot plot = plotIn(rect());
  const QPointF point = plot.place(hover_->direction, valueAt(hover_->curve, hover_->direction));
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(colours().faint, 1, Qt::DotLine));
  painter.drawLine(QPointF(point.x(), plot.area.top()), QPointF(point.x(), plot.area.bottom()));
  painter.setPen(QPen(colours().panel, 1.5));
  painter.setBrush(colours().text);
  painter.drawEllipse(point, 4, 4);
}

void SpectraView::setHover(std::optional<Spot> spot) {
  if (spot == hover_) return;
  hover_ = spot;
  update();
  Q_EMIT hovered(spot ? describe(*spot) : QString());
}

void SpectraView::mouseMoveEvent(QMouseEvent* event) { setHover(spotAt(event->position())); }
void SpectraView::leaveEvent(QEvent*) { setHover(std::nullopt); }

bool SpectraView::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    if (const auto spot = spotAt(help->pos()))
      QToolTip::showText(help->globalPos(), describe(*spot).replace(QStringLiteral(" · "), QStringLiteral("\n")), this);
    else
      QToolTip::hideText();
    return true;
  }
  return View::event(event);
}

}  // namespace kvista
