// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/lab_scatter.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {
namespace {

const double kHalving = std::log10(2.0);
constexpr double kGap = LogChart::kOverhang + 4, kMargin = 8, kReach = 8, kDecades = 4;
constexpr int kMark = 9;
constexpr double kDim = 0.55;  // Of a hollow disc, what is not its rim.

/// Texts by turns: full, hollow, small.
enum Form { full, hollow, small, forms };
constexpr std::array<char16_t, forms> kFormText = {u'●', u'○', u'•'};

QColor colourOf(bool isKey) { return isKey ? colours().accent : colours().valueText; }

}  // namespace

LabScatter::LabScatter(QWidget* parent) : LabChart(parent, 260) {
  setObjectName(QStringLiteral("labScatter"));
  setAccessibleName(tr("What truncation costs, over the normalised effective rank"));
}

void LabScatter::setPoints(LabPoints points) {
  if (points == points_) return;
  points_ = std::move(points);
  double least = 1, most = 0;
  for (const LabPoints::Point& point : points_.points) {
    least = std::min(least, point.rank);
    most = std::max(most, point.loss);
  }
  const double halvings = std::floor(std::log2(std::max(least, 1.0 / 64)) + 1e-9);
  rank_ = {std::min(-1.0, halvings) * kHalving, 0};
  const double top = std::ceil(std::log10(std::max(most, 1e-6)) - 1e-9);
  double bottom = top - 1;  // A decade below the least that is drawn as it is, and no more than kDecades.
  for (const LabPoints::Point& point : points_.points)
    if (point.loss > 0) bottom = std::min(bottom, std::floor(std::log10(point.loss)) - 1);
  loss_ = {std::max(bottom, top - kDecades - 1), top};
  QStringList said;
  for (std::size_t i = 0; i < points_.points.size(); ++i) said << describe(i);
  setAccessibleDescription(said.join(QLatin1Char('\n')));
  fill();
}

QPointF LabScatter::valueOf(const LabPoints::Point& point) const {
  return {std::clamp(point.rank, rank_.value(0), 1.0), std::max(point.loss, loss_.value(0))};
}

QPointF LabScatter::placeOf(std::size_t point) const {
  const QPointF value = valueOf(points_.points[point]);
  return chart_.place(value.x(), value.y());
}

QString LabScatter::describe(std::size_t point) const {
  const LabPoints::Point& each = points_.points[point];
  const QString sign = each.loss < 0 ? QStringLiteral("−") : QStringLiteral("+");
  return tr("%1 · %2 · rank %3 % · %4 nats a token with %5 of the directions")
      .arg(points_.texts.value(static_cast<qsizetype>(each.text)), each.label, decimalText(100 * each.rank, 1),
           sign + significantText(std::abs(each.loss), 3), points_.kept);
}

std::optional<std::size_t> LabScatter::pointAt(const QPointF& place) const {
  std::optional<std::size_t> nearest;
  double best = kReach;
  for (std::size_t i = 0; i < points_.points.size(); ++i) {
    const QPointF way = placeOf(i) - place;
    const double distance = std::hypot(way.x(), way.y());
    if (distance > best) continue;
    best = distance;
    nearest = i;
  }
  return nearest;
}

void LabScatter::fill() {
  if (points_.points.empty()) return;
  const Palette& look = colours();
  std::vector<std::pair<QString, QColor>> names = {{tr("keys"), colourOf(true)}, {tr("values"), colourOf(false)}};
  if (points_.texts.size() > 1)
    for (qsizetype t = 0; t < points_.texts.size(); ++t)
      names.emplace_back(
          QString(QChar(kFormText[static_cast<std::size_t>(t) % forms])) + QLatin1Char(' ') + points_.texts[t],
          look.soft);
  double room = 0;
  for (const auto& [name, colour] : names) room = std::max(room, LogChart::textWidth(name));
  room = std::min(room, width() / 4.0);
  const int bottom = static_cast<int>(std::lround(loss_.low));
  const auto ranks = [](int power) { return tr("%1 %").arg(significantText(100 * std::pow(2.0, power), 3)); };
  const auto losses = [bottom](int power) { return power == bottom ? tr("less") : powerText(power); };
  chart_.setAxes(
      size(), kGap + room + kMargin, {rank_, tr("normalised effective rank"), {}, ranks, 2},
      {loss_, tr("rise of the loss with %1 of the directions of one layer's keys or values").arg(points_.kept),
       tr("nats a token"), losses});
  std::vector<LogChart::Marks> marks;
  for (const bool isKey : {true, false})
    for (int form = full; form < forms; ++form) {
      QPolygonF places;
      for (const LabPoints::Point& point : points_.points)
        if (point.isKey == isKey && static_cast<int>(point.text % forms) == form) places << valueOf(point);
      if (places.isEmpty()) continue;
      const int size = form == small ? kMark / 2 + 1 : kMark;
      marks.push_back({places, size + 2, look.panel});
      marks.push_back({places, size, colourOf(isKey)});
      if (form == hollow) marks.push_back({places, static_cast<int>(kMark * kDim), look.panel});
    }
  std::vector<LogChart::Text> texts;
  double top = chart_.area().top();
  for (const auto& [name, colour] : names) {
    texts.push_back({QRectF(chart_.area().right() + kGap, top, room, LogChart::kTextHeight), name, colour});
    top += LogChart::kTextHeight + 2;
  }
  chart_.setContent({}, marks, texts);
  update();
}

QString LabScatter::tipAt(const QPoint& place) const {
  const auto point = pointAt(place);
  return point ? describe(*point) : QString();
}

}  // namespace kvista
