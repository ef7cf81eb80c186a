// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "core/engine/report/html.h"

namespace kvista::plot {

namespace {

constexpr double kMostSteps = 10, kFewDecades = 3, kSlack = 1e-9;
constexpr std::array kTimes = {1.0, 2.0, 5.0};

/// The smallest of 1, 2 and 5 times powers of ten of which few enough lie in a range.
double linearStep(double low, double high) {
  const double least = (high - low) / kMostSteps * (1 - kSlack), power = std::pow(10, std::floor(std::log10(least)));
  const auto* times = std::ranges::find_if(kTimes, [&](double each) { return each * power >= least; });
  return times == kTimes.end() ? 10 * power : *times * power;
}

}  // namespace

double Axis::part(double value) const {
  const double shown = base > 0 ? std::log(value) / std::log(base) : value;
  return std::clamp((shown - low) / (high - low), 0.0, 1.0);
}

std::vector<double> Axis::ticks() const {
  std::vector<double> all;
  const auto add = [&](double step, const auto& valueOf) {
    for (auto tick = std::llround(std::ceil(low / step - kSlack));
         static_cast<double>(tick) * step <= high + kSlack * step; ++tick)
      all.push_back(valueOf(static_cast<double>(tick) * step));
  };
  if (base == 0) {
    const double step = linearStep(low, high);
    add(isWhole ? std::max(1.0, step) : step, std::identity{});
  } else if (base == 10 && high - low <= kFewDecades) {
    for (auto decade = std::llround(std::floor(low)); static_cast<double>(decade) <= high; ++decade)
      for (const double times : kTimes) {
        const double value = times * std::pow(10, static_cast<double>(decade)), at = std::log10(value);
        if (at >= low - kSlack && at <= high + kSlack) all.push_back(value);
      }
  } else {
    add(std::max(1.0, std::ceil((high - low) / kMostSteps)), [&](double power) { return std::pow(base, power); });
  }
  return all;
}

double xOf(const Axis& axis, double value) { return kLeft + axis.part(value) * (kWidth - kLeft - kRight); }
double yOf(const Axis& axis, double value) { return kHeight - kBottom - axis.part(value) * (kHeight - kTop - kBottom); }

std::string frame(const Axis& x, const Axis& y, std::string_view label) {
  std::string svg =
      fmt::format(R"(<svg class="wide plot" viewBox="0 0 {} {}" role="img" aria-label="{}">)", kWidth, kHeight, label);
  const auto line = [&](double x1, double y1, double x2, double y2) {
    svg += fmt::format(R"(<path d="M{:.2f} {:.2f}L{:.2f} {:.2f}" class="grid" fill="none"/>)", x1, y1, x2, y2);
  };
  for (const double tick : x.ticks()) {
    const double at = xOf(x, tick);
    line(at, kTop, at, kHeight - kBottom);
    svg += fmt::format(R"(<text x="{:.2f}" y="{}" text-anchor="middle" class="axis">{}</text>)", at,
                       kHeight - kBottom + 16, escaped(x.text(tick)));
  }
  for (const double tick : y.ticks()) {
    const double at = yOf(y, tick);
    line(kLeft, at, kWidth - kRight, at);
    svg += fmt::format(R"(<text x="{}" y="{:.2f}" text-anchor="end" class="axis">{}</text>)", kLeft - 8, at + 4,
                       escaped(y.text(tick)));
  }
  svg += fmt::format(R"(<text x="{}" y="{}" text-anchor="middle" class="axis">{}</text>)",
                     (kLeft + kWidth - kRight) / 2, kHeight - 8, escaped(x.name));
  return svg +
         fmt::format(
             R"svg(<text x="12" y="{}" text-anchor="middle" class="axis" transform="rotate(-90 12 {})">{}</text>)svg",
             (kTop + kHeight - kBottom) / 2, (kTop + kHeight - kBottom) / 2, escaped(y.name));
}

std::string mark(double x, double y, std::size_t shape, bool isFilled, std::string_view words) {
  // A disc, a square, a triangle, a diamond, a triangle on its tip, a cross, all about as large.
  static constexpr std::array<std::string_view, kShapes> kOutlines = {"m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
                                                                      "m-3.6 -3.6h7.2v7.2h-7.2z",
                                                                      "m0 -4.8l4.6 8h-9.2z",
                                                                      "m0 -5l5 5l-5 5l-5 -5z",
                                                                      "m0 4.8l4.6 -8h-9.2z",
                                                                      "m-1.6 -4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z"};
  const std::string said = words.empty() ? std::string() : fmt::format("<title>{}</title>", escaped(words));
  return fmt::format(R"(<path d="M{:.2f} {:.2f}{}" class="{}" stroke="currentColor" stroke-width="1.4">{}</path>)", x,
                     y, kOutlines[shape], isFilled ? "filled" : "open", said);
}

std::string path(const std::vector<std::pair<double, double>>& points, std::string_view colour, double width) {
  std::string way;
  for (const auto& [x, y] : points) way += fmt::format("{}{:.2f} {:.2f}", way.empty() ? "M" : "L", x, y);
  return way.empty()
             ? way
             : fmt::format(R"(<path d="{}" stroke="{}" stroke-width="{}" fill="none" stroke-linejoin="round"/>)", way,
                           colour, width);
}

std::string text(double x, double y, std::string_view colour, std::string_view words) {
  return fmt::format(R"(<text x="{:.2f}" y="{:.2f}" font-size="11" fill="{}">{}</text>)", x, y, colour, escaped(words));
}

void fit(Axis& axis, const std::vector<double>& values) {
  const auto [least, most] = std::ranges::minmax(values);
  if (axis.base == 0) {
    const double end = most > least ? most : least + 1, step = linearStep(least, end);
    axis.low = std::floor(least / step + kSlack) * step;
    axis.high = std::ceil(end / step - kSlack) * step;
    return;
  }
  axis.low = std::floor(std::log(least) / std::log(axis.base) + 1e-9);
  axis.high = std::max(axis.low + 1, std::ceil(std::log(most) / std::log(axis.base) - 1e-9));
}

}  // namespace kvista::plot
