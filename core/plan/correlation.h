// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace kvista {

/// Pearson's coefficient of linear correlation of two lists of one length; NaN where either does not vary or has fewer
/// than two numbers.
double pearson(const std::vector<double>& x, const std::vector<double>& y);

/// Spearman's: Pearson's of the ranks, equal numbers sharing the mean of theirs.
double spearman(const std::vector<double>& x, const std::vector<double>& y);

}  // namespace kvista
