// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/engine/report/html.h"
#include "core/engine/report/plot.h"
#include "core/plan/pareto.h"

namespace kvista {

using namespace plot;

namespace {

/// Below this a rise is within the noise of any measurement; it is drawn at the lower edge.
constexpr double kSmallestRise = 1e-3;

std::optional<double> riseOf(const Project& project, const std::string& print, const std::optional<double>& loss,
                             bool& measured) {
  measured = false;
  std::optional<double> rise;
  if (loss) rise = std::expm1(*loss);
  for (const MeasuredResult& result : project.results)
    if (result.planFingerprint == print && result.perplexityBefore > 0) {
      rise = result.perplexityAfter / result.perplexityBefore - 1;
      measured = true;
    }
  return rise;
}

std::int64_t fullBytes(const CompressionPlan& plan) {
  std::int64_t bytes = 0;
  for (const Group& group : plan.groups) bytes += 2 * static_cast<std::int64_t>(group.widths.size());
  return bytes;
}

}  // namespace

std::optional<double> meanOf(const Matrix& matrix, int layer) {
  if (layer >= matrix.rows || matrix.columns == 0) return std::nullopt;
  double sum = 0;
  for (int head = 0; head < matrix.columns; ++head) sum += matrix.at(layer, head);
  return sum / matrix.columns;
}

std::vector<PlanPoint> planPoints(const Project& project) {
  std::vector<PlanPoint> points;
  const std::string current = fingerprint(project.plan);
  const auto add = [&](const CompressionPlan& plan, const std::string& name, const std::string& print,
                       const std::optional<double>& loss) {
    PlanPoint point{name, print, plan.method, bytesPerToken(plan), 0, {}, {}};
    point.share =
        static_cast<double>(point.bytesPerToken) / static_cast<double>(std::max<std::int64_t>(1, fullBytes(plan)));
    point.rise = riseOf(project, print, loss, point.measured);
    if (loss && project.baseLoss > 0) point.predicted = std::exp(project.baseLoss + *loss);
    point.current = print == current;
    points.push_back(std::move(point));
  };
  for (const TriedPlan& tried : project.tried) add(tried.plan, tried.name, fingerprint(tried.plan), tried.loss());
  if (std::ranges::none_of(points, &PlanPoint::current))
    add(project.plan, "this plan", current, project.correctedLoss ? project.correctedLoss : project.predictedLoss);
  std::vector<CostQuality> known;
  std::vector<std::size_t> which;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!points[i].rise) continue;
    known.push_back({points[i].share, *points[i].rise});
    which.push_back(i);
  }
  for (const std::size_t i : paretoFront(known)) points[which[i]].onFront = true;
  return points;
}

std::string qualitySvg(const std::vector<PlanPoint>& points) {
  std::vector<double> shares = {1.0 / 32, 1}, rises = {kSmallestRise, 0.1};
  std::vector<const PlanPoint*> shown;
  for (const PlanPoint& point : points) {
    if (!point.rise || !(point.share > 0)) continue;
    shown.push_back(&point);
    shares.push_back(point.share);
    rises.push_back(std::max(kSmallestRise, *point.rise));
  }
  if (shown.empty()) return {};
  std::ranges::sort(shown, {}, &PlanPoint::share);
  Axis x{0, 1, 2, "share of the 16-bit cache",
         [](double value) { return value < 1 ? fmt::format("1/{:.0f}", 1 / value) : fmt::format("{:.0f}", value); }};
  Axis y{0, 1, 10, "rise of perplexity",
         [](double value) { return fmt::format("{}{:g} %", value < 1.01 * kSmallestRise ? "≤ " : "", 100 * value); }};
  fit(x, shares);
  fit(y, rises);
  const auto place = [&](const PlanPoint& point) {
    return std::pair{xOf(x, point.share), yOf(y, std::max(kSmallestRise, *point.rise))};
  };
  std::string svg = frame(x, y, "Rise of perplexity over the share of the cache's bytes, plan by plan");
  std::vector<std::pair<double, double>> front;
  for (const PlanPoint* point : shown)
    if (point->onFront) front.push_back(place(*point));
  svg += path(front, kAccent, 1.6);
  for (const PlanPoint* point : shown) {
    const auto [left, top] = place(*point);
    const char* colour = point->onFront || point->current ? kAccent : kSoft;
    if (point->current)
      svg += fmt::format(R"(<circle cx="{:.2f}" cy="{:.2f}" r="9" fill="none" stroke="{}"/>)", left, top, kAccent);
    // Filled where measured, open where predicted.
    svg += fmt::format(
        R"(<circle cx="{:.2f}" cy="{:.2f}" r="4.5" fill="{}" stroke="{}" stroke-width="2"><title>{}</title></circle>)",
        left, top, point->measured ? colour : "#fff", colour, escaped(point->name));
    svg += text(left + 12, top - 6, colour, point->name);
  }
  return svg +
         "</svg><p class=\"soft\">Filled: measured. Open: predicted. The line joins the plans that no other beats in "
         "both; the ring is this plan.</p>";
}

std::string spectraSvg(const std::vector<LayerSpectrumRecord>& records, Side side) {
  constexpr double kDecades = 6;
  constexpr std::size_t kPoints = 96;  // A line; more would not be seen.
  double largest = 0, smallest = 0;
  std::size_t directions = 2;
  int layers = 1;
  for (const LayerSpectrumRecord& record : records) {
    if (record.side != side) continue;
    directions = std::max(directions, record.singularValues.size());
    layers = std::max(layers, record.layer + 1);
    for (const float value : record.singularValues) {
      if (!(value > 0) || !std::isfinite(value)) continue;
      largest = std::max<double>(largest, value);
      smallest = smallest > 0 ? std::min<double>(smallest, value) : value;
    }
  }
  if (!(largest > 0)) return {};
  Axis x{0, 1, 10, "direction", [](double value) { return fmt::format("{:.0f}", value); }};
  Axis y{0, 1, 10, "singular value a token", [](double value) { return fmt::format("{:g}", value); }};
  fit(x, {1, static_cast<double>(directions)});
  x.high = std::log10(static_cast<double>(directions));
  fit(y, {std::max(smallest, largest * std::pow(10, -kDecades)), largest});
  std::string svg = frame(x, y,
                          side == Side::key ? "Singular values of the keys, layer by layer"
                                            : "Singular values of the values, layer by layer");
  for (const LayerSpectrumRecord& record : records) {
    if (record.side != side) continue;
    std::vector<std::pair<double, double>> points;
    std::size_t last = 0;
    for (std::size_t i = 0; i <= kPoints; ++i) {
      const auto direction = static_cast<std::size_t>(
          std::llround(std::pow(static_cast<double>(record.singularValues.size()), static_cast<double>(i) / kPoints)));
      if (direction == last || direction > record.singularValues.size()) continue;
      last = direction;
      const double value = record.singularValues[direction - 1];
      if (!(value >= std::pow(y.base, y.low))) break;
      points.emplace_back(xOf(x, static_cast<double>(direction)), yOf(y, value));
    }
    svg += path(points, viridis(0.92 * record.layer / std::max(1, layers - 1)), 1.4);
  }
  // The colours' meaning: first and last layer, with the way between them.
  for (int i = 0; i < 24; ++i)
    svg += fmt::format(R"(<rect x="{}" y="{:.2f}" width="10" height="6.1" fill="{}"/>)", kWidth - kRight + 16,
                       kTop + 6 * i, viridis(0.92 * i / 23));
  svg += text(kWidth - kRight + 34, kTop + 9, kSoft, "layer 0");
  return svg + text(kWidth - kRight + 34, kTop + 143, kSoft, fmt::format("layer {}", layers - 1)) + "</svg>";
}

std::string errorsSvg(const PlanErrorsRecord& errors) {
  struct Kind {
    const char* name;
    const Matrix* matrix;
    const char* colour;
  };
  const Kind kinds[] = {{"keys", &errors.keys, "#1f47a8"},
                        {"values", &errors.values, "#136a52"},
                        {"attention scores", &errors.logits, "#b45309"},
                        {"attention outputs", &errors.attentionOutputs, kSoft}};
  std::vector<double> all;
  int layers = 0;
  for (const Kind& kind : kinds)
    for (int layer = 0; layer < kind.matrix->rows; ++layer)
      if (const auto mean = meanOf(*kind.matrix, layer); mean && std::isfinite(*mean) && *mean > 0) {
        all.push_back(*mean);
        layers = std::max(layers, layer + 1);
      }
  if (all.empty()) return {};
  Axis x{0,
         static_cast<double>(std::max(1, layers - 1)),
         0,
         "layer",
         [](double value) { return fmt::format("{:.0f}", value); },
         true};
  Axis y{0, 1, 10, "relative squared error", [](double value) { return fmt::format("{:g}", value); }};
  fit(y, all);
  std::string svg = frame(x, y, "Relative squared errors of the plan, layer by layer");
  std::vector<std::pair<double, const Kind*>> ends;
  for (const Kind& kind : kinds) {
    std::vector<std::pair<double, double>> points;
    for (int layer = 0; layer < kind.matrix->rows; ++layer)
      if (const auto mean = meanOf(*kind.matrix, layer); mean && std::isfinite(*mean) && *mean > 0)
        points.emplace_back(xOf(x, layer), yOf(y, *mean));
    svg += path(points, kind.colour, 1.8);
    for (const auto& [left, top] : points)
      svg += fmt::format(R"(<circle cx="{:.2f}" cy="{:.2f}" r="2.5" fill="{}"/>)", left, top, kind.colour);
    if (!points.empty()) ends.emplace_back(points.back().second, &kind);
  }
  // Names beside the ends of their lines, apart from each other.
  std::ranges::sort(ends, {}, [](const auto& end) { return end.first; });
  double free = 0;
  for (const auto& [top, kind] : ends) {
    const double at = std::max(top + 4, free);
    svg += text(kWidth - kRight + 12, at, kind->colour, kind->name);
    free = at + 14;
  }
  return svg + "</svg>";
}

}  // namespace kvista
