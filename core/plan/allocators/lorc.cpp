// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>

#include "core/plan/allocate.h"
#include "core/plan/weighted_shares.h"

namespace kvista {

namespace {

/// The last layer keeps at least this part of what the first one keeps; the paper leaves it to the user.
constexpr double kSmallestPart = 0.25;

/// Logarithm of the condition number of what the spectrum's singular values, the roots of its eigenvalues, are of.
double logCondition(const Spectrum& spectrum) {
  if (spectrum.eigenvalues.empty() || spectrum.eigenvalues.front() <= 0) return 0;
  constexpr double kRounding = 1e-12;  // Of the largest: below it an eigenvalue is not known.
  const double largest = spectrum.eigenvalues.front();
  return 0.5 * std::log(largest / std::max(spectrum.eigenvalues.back(), kRounding * largest));
}

/// LoRC's progressive rule: the cumulative condition number of a layer is the product of those of all groups of this
/// and all later layers, which bounds how far an error that is made here can grow. A layer's kept fraction is 1 - c
/// (max log - own log) / (max log - min log), largest in the first layer; c is what the budget allows. Where even the
/// steepest fall takes more than there is, all fractions are scaled down together.
Result<Allocation> allocate(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  std::map<int, double> logs;
  for (const BudgetUnit& unit : request.units) logs[unit.layer] += logCondition(unit.spectrum);
  double later = 0;
  for (auto layer = logs.rbegin(); layer != logs.rend(); ++layer) later = layer->second += later;
  const double most = logs.empty() ? 0 : logs.begin()->second, least = logs.empty() ? 0 : logs.rbegin()->second;
  const auto distance = [&](const BudgetUnit& unit) {
    return most > least ? (most - logs[unit.layer]) / (most - least) : 0.0;
  };

  const double bytesPerNumber = request.allowedWidths.back() / 8.0;
  double full = 0, cut = 0;  // Bytes of everything, and what c = 1 takes away.
  for (const BudgetUnit& unit : request.units) {
    const double bytes = static_cast<double>(unit.spectrum.eigenvalues.size()) * bytesPerNumber;
    full += bytes;
    cut += bytes * distance(unit);
  }
  const double wanted = cut > 0 ? (full - static_cast<double>(request.budgetBytes)) / cut : 0;
  const double steepness = std::clamp(wanted, 0.0, 1 - kSmallestPart);
  std::vector<double> weights;
  for (const BudgetUnit& unit : request.units)
    weights.push_back(static_cast<double>(unit.spectrum.eigenvalues.size()) * (1 - steepness * distance(unit)));
  return allocateInShares(request, weights);
}

}  // namespace

Allocator lorcAllocator() {
  return {"lorc", "Less the later the layer, by the condition numbers of the layers that are still to come.", allocate,
          "LoRC (Zhang et al., 2024), progressive compression"};
}

}  // namespace kvista
