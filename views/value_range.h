// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <vector>

#include "core/plan/matrix.h"

namespace kvista {

/// The values that the two ends of a colour map stand for.
struct Range {
  double low = 0.0;
  double high = 1.0;
  bool operator==(const Range&) const = default;
  [[nodiscard]] double span() const { return high - low; }
};

/// The known values of a matrix that say something: those beside the diagonal, where a head meets itself.
std::vector<float> valuesOffDiagonal(const Matrix& matrix);

/// The range between the percentiles `percentile` and 100 - `percentile`, widened to round numbers; about zero for
/// differences. Values that are all alike get a range around them; no values [0, 1]. Reorders `values`.
Range fitRange(std::vector<float>& values, double percentile, bool aboutZero);

/// Number of values in each of `bins` equal parts of the range; values outside are left out.
std::vector<int> histogram(const std::vector<float>& values, Range range, int bins);

/// Number of cells that are not known.
int countUnknown(const Matrix& matrix);

/// A value for the eye: four decimals, or four digits where those say more; a true minus sign.
QString valueText(double value);
/// A number of an axis whose ends are `span` apart: two digits more than the span's order.
QString tickText(double value, double span);

}  // namespace kvista
