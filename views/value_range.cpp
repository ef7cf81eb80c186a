// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/value_range.h"

#include <QCoreApplication>
#include <QLocale>
#include <algorithm>
#include <cmath>

namespace kvista {
namespace {

/// The largest of 1, 2, 5 times a power of ten that is not above `value`.
double roundStep(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value)));
  const double share = value / power;
  return (share >= 5 ? 5 : share >= 2 ? 2 : 1) * power;
}

QString withTrueMinus(QString text) { return text.replace(QLatin1Char('-'), QChar(0x2212)); }

}  // namespace

std::vector<float> valuesOffDiagonal(const Matrix& matrix) {
  std::vector<float> values;
  values.reserve(matrix.values.size());
  for (int row = 0; row < matrix.rows; ++row)
    for (int column = 0; column < matrix.columns; ++column)
      if (row != column && std::isfinite(matrix.at(row, column))) values.push_back(matrix.at(row, column));
  return values;
}

Range fitRange(std::vector<float>& values, double percentile, bool aboutZero) {
  if (values.empty()) return aboutZero ? Range{-1, 1} : Range{0, 1};
  const auto at = [&](double percent) {
    const auto place = static_cast<std::ptrdiff_t>(std::lround(percent / 100 * static_cast<double>(values.size() - 1)));
    std::nth_element(values.begin(), values.begin() + place, values.end());
    return static_cast<double>(values[static_cast<std::size_t>(place)]);
  };
  Range range;
  if (percentile > 0) {
    range = {at(percentile), at(100 - percentile)};
  } else {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    range = {*low, *high};
  }
  if (aboutZero) {
    range.high = std::max(std::abs(range.low), std::abs(range.high));
    range.low = -range.high;
  }
  const double magnitude = std::max(std::abs(range.low), std::abs(range.high));
  if (range.span() <= magnitude * 1e-6) {
    const double half = magnitude > 0 ? magnitude * 0.05 : 0.5;
    range = {range.low - half, range.high + half};
  }
  const double step = roundStep(range.span() / 10);
  return {std::floor(range.low / step + 1e-6) * step, std::ceil(range.high / step - 1e-6) * step};
}

std::vector<int> histogram(const std::vector<float>& values, Range range, int bins) {
  std::vector<int> counts(static_cast<std::size_t>(bins), 0);
  if (range.span() <= 0) return counts;
  const double scale = bins / range.span();
  for (const float value : values) {
    if (value < range.low || value > range.high) continue;
    ++counts[static_cast<std::size_t>(std::min(bins - 1, static_cast<int>((value - range.low) * scale)))];
  }
  return counts;
}

int countUnknown(const Matrix& matrix) {
  return static_cast<int>(
      std::count_if(matrix.values.begin(), matrix.values.end(), [](float v) { return std::isnan(v); }));
}

QString valueText(double value) {
  if (std::isnan(value)) return QCoreApplication::translate("kvista", "not known");
  const double magnitude = std::abs(value);
  if (magnitude != 0 && (magnitude < 0.001 || magnitude >= 1e6))
    return withTrueMinus(QLocale().toString(value, 'e', 3));
  const int before = magnitude < 10 ? 0 : static_cast<int>(std::floor(std::log10(magnitude)));
  return withTrueMinus(QLocale().toString(value, 'f', std::max(0, before == 0 ? 4 : 3 - before)));
}

QString tickText(double value, double span) {
  if (span <= 0) return valueText(value);
  if (span < 1e-4 || span >= 1e6) return withTrueMinus(QLocale().toString(value, 'e', 1));
  const int decimals = std::max(0, 1 - static_cast<int>(std::floor(std::log10(span) + 1e-9)));
  return withTrueMinus(QLocale().toString(std::abs(value) < span * 1e-9 ? 0.0 : value, 'f', decimals));
}

}  // namespace kvista
