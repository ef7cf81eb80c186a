// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/lab_plot.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {
namespace {

const double kHalving = std::log10(2.0);
constexpr double kGap = LogChart::kOverhang + 4, kMargin = 8;

}  // namespace

std::int64_t LabCurve::after(std::int64_t n) const {
  return std::ranges::count_if(same, [n](std::int64_t each) { return each >= n; });
}

LabPlot::LabPlot(QWidget* parent) : LabChart(parent, 220) {
  setObjectName(QStringLiteral("labPlot"));
  setAccessibleName(tr("Texts that are still the same, by token"));
}

void LabPlot::setCurve(LabCurve curve) {
  if (curve == curve_) return;
  curve_ = std::move(curve);
  tokens_ = {0, std::max(1.0, std::log2(static_cast<double>(curve_.tokens))) * kHalving};
  // The least share there can be lies a halving above the bottom, which is none.
  const double least = std::ceil(std::log2(static_cast<double>(curve_.same.size())) - 1e-9);
  share_ = {-(least + 1) * kHalving, 0};
  setAccessibleDescription(describe(curve_.tokens));
  fill();
}

double LabPlot::heightOf(std::int64_t token) const {
  const std::int64_t left = curve_.after(token);
  return left > 0 ? static_cast<double>(left) / static_cast<double>(curve_.same.size()) : share_.value(0);
}

QPointF LabPlot::placeOf(std::int64_t token) const { return chart_.place(static_cast<double>(token), heightOf(token)); }

QString LabPlot::describe(std::int64_t token) const {
  return tr("After %1 of %2 tokens %3 of %4 texts are still the same.")
      .arg(countText(token), countText(curve_.tokens), countText(curve_.after(token)),
           countText(static_cast<qint64>(curve_.same.size())));
}

void LabPlot::fill() {
  if (curve_.same.empty() || curve_.tokens < 1) return;
  const QColor colour = colours().accent;
  const auto counts = [](int power) { return countText(std::int64_t{1} << std::max(0, power)); };
  const int bottom = static_cast<int>(std::lround(share_.low / kHalving));
  const auto shares = [bottom](int power) {
    return power == bottom ? tr("none") : tr("%1 %").arg(significantText(100 * std::pow(2.0, power), 3));
  };
  const QString end =
      tr("%1 of %2").arg(countText(curve_.after(curve_.tokens)), countText(static_cast<qint64>(curve_.same.size())));
  const double room = LogChart::textWidth(end);
  chart_.setAxes(size(), kGap + room + kMargin, {tokens_, tr("tokens written"), {}, counts, 2},
                 {share_, tr("still the same"), tr("of the texts"), shares, 2});
  std::vector<std::int64_t> partings = curve_.same;
  std::ranges::sort(partings);
  QPolygonF line;
  const auto to = [&](std::int64_t token, std::int64_t as) {
    line << QPointF(static_cast<double>(token), heightOf(as));
  };
  to(1, 1);
  for (const std::int64_t each : partings) {
    if (each < 1 || each >= curve_.tokens) continue;
    to(each + 1, each);  // a step
    to(each + 1, each + 1);
  }
  to(curve_.tokens, curve_.tokens);
  const double at = placeOf(curve_.tokens).y() - LogChart::kTextHeight / 2;
  chart_.setContent({{line, QPen(colour, 2, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin)}},
                    {{QPolygonF{line.back()}, 7, colour}},
                    {{QRectF(chart_.area().right() + kGap, at, room, LogChart::kTextHeight), end, colour}});
  update();
}

QString LabPlot::tipAt(const QPoint& place) const {
  const double part = (place.x() - chart_.area().left()) / std::max(1.0, chart_.area().width());
  if (curve_.tokens < 1 || part < -0.02 || part > 1.02) return {};
  return describe(std::clamp<std::int64_t>(std::llround(tokens_.value(part)), 1, curve_.tokens));
}

}  // namespace kvista
