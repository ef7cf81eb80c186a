// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/spectra_view.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <array>
#include <cmath>

#include "views/label_places.h"
#include "views/number_text.h"
#include "views/segmented_control.h"
#include "views/theme.h"
#include "views/view_state.h"

namespace kvista {
namespace {

constexpr double kReach = 16, kDecadesShown = 9, kLabelGap = LogChart::kOverhang + 4, kLabelMargin = 8;
/// They repeat after so many, but every line has its name beside it.
constexpr double kClosestLabels = 11;  // Heights of letters that still can be read.
constexpr std::size_t kLineColours = 5;
constexpr std::size_t kEdgesShown = 4;  // More lines across the plot would hide the curves.

/// Fit for a line and for its name.
QColor lineColour(std::size_t index) {
  const Palette& look = colours();
  const std::array<QColor, kLineColours> all = {look.accent, look.warning, look.valueText, look.soft, look.text};
  return all[index % all.size()];
}

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
      tr("Eigenvalues: what each direction carries; dotted, what noise of the same energy would reach. Tails: half of "
         "what is lost when only the first directions are kept."));
  connect(shown_, &SegmentedControl::chosen, this, [this](const QString& id) {
    showAs(id);
    Q_EMIT viewStateChanged();
  });
  connect(&Theme::instance(), &Theme::changed, this, &SpectraView::arrange);
  setRecord({});
}

void SpectraView::showAs(const QString& shown) {
  tails_ = shown == QStringLiteral("tails");
  shown_->setCurrent(shown);
  prepare();
}

QJsonObject SpectraView::viewState() const {
  return tails_ ? QJsonObject{{QStringLiteral("shown"), QStringLiteral("tails")}} : QJsonObject();
}

bool SpectraView::setViewState(const QJsonObject& state) {
  ViewStateReader reader(state);
  showAs(reader.choice("shown", {QStringLiteral("eigenvalues"), QStringLiteral("tails")}));
  return reader.isSound();
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
    values_.push_back(std::move(values));
  }
  y_.high = largest > 0 ? std::log10(largest) + 0.1 : 0;
  y_.low = std::min(y_.high - 1, std::max(smallest > 0 ? std::log10(smallest) : -1, y_.high - kDecadesShown));
  // To where the last curve leaves the plot; what is far below it has no place.
  std::ptrdiff_t last = 2;
  for (const std::vector<double>& values : values_) {
    const auto end = std::find_if(values.rbegin(), values.rend(), [&](double value) { return value >= y_.value(0); });
    last = std::max(last, std::min(values.rend() - end + 1, std::ssize(values)));
  }
  x_ = {0, std::log10(static_cast<double>(last))};
  hover_.reset();
  arrange();
}

double SpectraView::valueAt(std::size_t curve, int direction) const {
  return values_[curve][static_cast<std::size_t>(direction) - 1];
}

QPolygonF SpectraView::pointsOf(std::size_t curve, double width) const {
  const std::vector<double>& values = values_[curve];
  const double least = y_.value(0);
  QPolygonF points;
  // Whether there may be more.
  const auto put = [&](std::size_t i) {
    const QPointF point(static_cast<double>(i + 1), values[i]);
    if (values[i] >= least) {
      points << point;
      return true;
    }
    if (!points.isEmpty() && values[i] > 0) {
      // To where the curve meets the axis.
      const double part = y_.part(points.back().y()) / (y_.part(points.back().y()) - y_.part(values[i]));
      points << QPointF(points.back().x() * std::pow(point.x() / points.back().x(), part), least);
    }
    return false;
  };
  // The first and the last direction of every column: what falls between them is between them.
  for (std::size_t first = 0; first < values.size();) {
    const double column = std::floor(x_.part(static_cast<double>(first + 1)) * width);
    std::size_t last = first;
    const double edge = x_.value((column + 1) / width);
    if (edge > static_cast<double>(first + 2))
      last = std::min(values.size(), static_cast<std::size_t>(std::ceil(edge)) - 1) - 1;
    if (!put(first) || (last > first && !put(last))) break;
    first = std::max(last, first) + 1;
  }
  return points;
}

std::optional<SpectraView::Spot> SpectraView::spotAt(const QPointF& place) const {
  const QRectF& area = chart_.area();
  if (!area.adjusted(-4, -4, 4, 4).contains(place)) return std::nullopt;
  const int direction = static_cast<int>(std::lround(x_.value((place.x() - area.left()) / area.width())));
  std::optional<Spot> nearest;
  double best = kReach;
  for (std::size_t c = 0; c < values_.size(); ++c) {
    if (values_[c].empty()) continue;
    const int own = std::clamp(direction, 1, static_cast<int>(values_[c].size()));
    const double distance = std::abs(chart_.place(own, valueAt(c, own)).y() - place.y());
    if (distance > best) continue;
    best = distance;
    nearest = Spot{c, own};
  }
  return nearest;
}

QString SpectraView::describe(const Spot& spot) const {
  const SpectrumCurve& curve = record_.curves[spot.curve];
  const QString value = significantText(valueAt(spot.curve, spot.direction), 4) + QLatin1Char(' ') + unitOf(record_);
  const QString place = countText(spot.direction), all = countText(static_cast<std::int64_t>(curve.eigenvalues.size()));
  if (tails_) return tr("%1 · %2 of %3 directions kept · %4 lost").arg(curve.label, place, all, value);
  const QString own = tr("%1 · direction %2 of %3 · %4").arg(curve.label, place, all, value);
  return curve.noiseEdge > 0
             ? tr("%1 · noise of the same energy would reach %2").arg(own, significantText(curve.noiseEdge, 4))
             : own;
}

void SpectraView::fill(LogChart& chart, const QSizeF& size) const {
  double room = 0;
  for (const SpectrumCurve& curve : record_.curves) room = std::max(room, LogChart::textWidth(curve.label));
  room = std::min(room, size.width() / 4);
  LogChart::Axis x{x_, tails_ ? tr("directions kept") : tr("direction"), {}, [](int decade) {
                     return countText(static_cast<std::int64_t>(std::llround(std::pow(10.0, decade))));
                   }};
  LogChart::Axis y{y_, tails_ ? tr("lost when the others are dropped") : tr("eigenvalue"), unitOf(record_), powerText};
  chart.setAxes(size, kLabelGap + room + kLabelMargin, x, y);
  const QRectF& area = chart.area();
  std::vector<LogChart::Line> lines;
  std::vector<LogChart::Marks> marks;
  std::vector<double> wanted;
  for (std::size_t c = 0; c < values_.size(); ++c) {
    const QPolygonF points = pointsOf(c, area.width());
    wanted.push_back((points.isEmpty() ? area.bottom() : chart.place(points.back().x(), points.back().y()).y()) -
                     LogChart::kTextHeight / 2);
    lines.push_back({points, QPen(lineColour(c), 1.6, c < kLineColours ? Qt::SolidLine : Qt::DashLine)});
    const double edge = record_.curves[c].noiseEdge;
    if (!tails_ && values_.size() <= kEdgesShown && edge >= y_.value(0) && edge <= y_.value(1))
      lines.push_back(
          {QPolygonF({QPointF(x_.value(0), edge), QPointF(x_.value(1), edge)}), QPen(lineColour(c), 1, Qt::DotLine)});
    const int rank = record_.curves[c].rank;
    if (rank > 0 && rank <= static_cast<int>(values_[c].size()) && valueAt(c, rank) >= y_.value(0)) {
      const QPolygonF place = {QPointF(rank, valueAt(c, rank))};
      marks.push_back({place, 11, colours().panel});
      marks.push_back({place, 8, lineColour(c)});
    }
  }
  // Many move closer together; of more than fit, the first have names, and the pointer says the others'.
  const double lowest = area.bottom() - LogChart::kTextHeight / 2;
  const auto most = static_cast<std::size_t>(std::max(1.0, lowest / kClosestLabels + 1));
  if (wanted.size() > most) wanted.resize(most);
  const double apart = wanted.size() > 1
                           ? std::min(LogChart::kTextHeight, lowest / static_cast<double>(wanted.size() - 1))
                           : LogChart::kTextHeight;
  const std::vector<double> placed = spreadLabels(wanted, apart, 0, lowest);
  std::vector<LogChart::Text> texts;
  for (std::size_t c = 0; c < placed.size(); ++c)
    texts.push_back({QRectF(area.right() + kLabelGap, placed[c], room, LogChart::kTextHeight), record_.curves[c].label,
                     lineColour(c)});
  chart.setContent(lines, marks, texts);
}

void SpectraView::arrange() {
  if (!isVisible()) return;  // It takes its time, and nobody looks.
  fill(chart_, size());
  update();
}

void SpectraView::paintFigure(QPainter& painter, const QRectF& area) const {
  LogChart chart;
  fill(chart, area.size());
  chart.paint(painter, area.topLeft());
}

void SpectraView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  if (record_.curves.empty()) {
    painter.setPen(colours().soft);
    painter.drawText(rect().adjusted(24, 24, -24, -24), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("Select groups or heads to see their spectra."));
    return;
  }
  chart_.paint(painter, {});
  if (!hover_) return;
  const QPointF point = chart_.place(hover_->direction, valueAt(hover_->curve, hover_->direction));
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(colours().faint, 1, Qt::DotLine));
  painter.drawLine(QPointF(point.x(), chart_.area().top()), QPointF(point.x(), chart_.area().bottom()));
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
void SpectraView::resizeEvent(QResizeEvent*) { arrange(); }
void SpectraView::showEvent(QShowEvent*) { arrange(); }
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
