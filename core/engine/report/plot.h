// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What the plots of a page are drawn with: SVG as text.
namespace kvista::plot {

inline constexpr double kWidth = 1000, kHeight = 300, kLeft = 64, kRight = 150, kTop = 12, kBottom = 44;
inline constexpr const char* kAccent = "#2556d0";
inline constexpr const char* kSoft = "#5a6675";

/// One axis: where a value lies between 0 and 1, and what stands beside it.
struct Axis {
  double low = 0, high = 1;  ///< Of the values, or of their logarithms to `base`.
  double base = 10;          ///< 0: not logarithmic.
  std::string name = {};
  std::function<std::string(double)> text = {};
  bool isWhole = false;  ///< There is nothing between whole numbers.

  [[nodiscard]] double part(double value) const;
  /// Where hairlines are, as values: 1, 2 or 5 times powers of ten, and whole powers of another base. Not more than can
  /// be read.
  [[nodiscard]] std::vector<double> ticks() const;
};

/// Where a value lies in the picture.
double xOf(const Axis& axis, double value);
double yOf(const Axis& axis, double value);
/// The plot without what is plotted: hairlines at ticks, their texts, the axes' names. Begins the `svg` element.
std::string frame(const Axis& x, const Axis& y, std::string_view label);
/// Shapes of points that can be told apart, filled or not.
inline constexpr std::size_t kShapes = 6;
/// A point in the current colour, `shape` below kShapes; where it is not filled, the page is seen through it. `words`
/// say what it is.
std::string mark(double x, double y, std::size_t shape, bool isFilled, std::string_view words = {});
/// A line through points of the picture; nothing for none.
std::string path(const std::vector<std::pair<double, double>>& points, std::string_view colour, double width);
std::string text(double x, double y, std::string_view colour, std::string_view words);
/// Bounds round `values`: of a logarithmic axis at whole powers, values all positive; else at whole ticks.
void fit(Axis& axis, const std::vector<double>& values);

}  // namespace kvista::plot
