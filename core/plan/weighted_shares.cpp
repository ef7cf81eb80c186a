// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/weighted_shares.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/plan/plan.h"

namespace kvista {

Allocator waterlineAllocator();

namespace {

/// What one unit may take: bytes in proportion to its weight, within its own bounds.
struct Share {
  std::size_t unit = 0;
  double weight = 0;
  double smallest = 0;
  double largest = 0;
  [[nodiscard]] double at(double bytesPerWeight) const {
    return std::clamp(bytesPerWeight * weight, smallest, largest);
  }
};

Share shareOf(const AllocationRequest& request, std::size_t index, double weight) {
  const BudgetUnit& unit = request.units[index];
  // Directions that carry nothing take no bytes.
  const auto useful =
      std::count_if(unit.spectrum.eigenvalues.begin(), unit.spectrum.eigenvalues.begin() + unit.maximumRank,
                    [](double eigenvalue) { return eigenvalue > 0; });
  Share share;
  share.unit = index;
  share.weight = weight;
  share.smallest = unit.minimumRank * request.allowedWidths[1] / 8.0;
  share.largest = std::max(share.smallest, static_cast<double>(useful) * request.allowedWidths.back() / 8.0);
  return share;
}

/// The rank step, halved until a block of it fits into `bytes`: a share that is less than a block is still somebody's,
/// where whole blocks would take turns and leave the others nothing.
int stepWithin(const AllocationRequest& request, double bytes) {
  int step = request.rankStep;
  while (step > 1 && step * request.allowedWidths[1] / 8.0 > bytes) step /= 2;
  return step;
}

}  // namespace

Result<Allocation> allocateInShares(const AllocationRequest& request, const std::vector<double>& weights) {
  Allocation allocation;
  allocation.widths.resize(request.units.size());
  std::vector<Share> shares;
  double budget = static_cast<double>(request.budgetBytes);
  for (std::size_t i = 0; i < request.units.size(); ++i) {
    if (request.units[i].locked) {
      allocation.widths[i] = request.units[i].widths;
      budget -= static_cast<double>(storedBytes(request.units[i].widths));
    } else {
      shares.push_back(shareOf(request, i, weights[i]));
    }
  }

  // Bytes a weight at which the shares, bounds respected, spend the budget; at `high` all have what they can take.
  double low = 0, high = 0;
  for (const Share& share : shares)
    if (share.weight > 0) high = std::max(high, share.largest / share.weight);
  constexpr int kHalvings = 100;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    double sum = 0;
    for (const Share& share : shares) sum += share.at(middle);
    (sum <= budget ? low : high) = middle;
  }

  // `high` is the end that reaches the budget; the excess of the last bits of a double is cut by `left`.
  double due = 0;
  int finest = request.rankStep;
  auto left = static_cast<std::int64_t>(std::max(budget, 0.0));
  for (const Share& share : shares) {
    due += share.at(high);
    const int step = share.at(high) > 0 ? stepWithin(request, share.at(high)) : request.rankStep;
    finest = std::min(finest, step);
    AllocationRequest part{{request.units[share.unit]}, request.allowedWidths, step, 0};
    constexpr double kRounding = 1e-6;
    part.budgetBytes = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(due + kRounding)), 0, left);
    KVISTA_ASSIGN(Allocation one, waterlineAllocator().allocate(part));
    due -= static_cast<double>(one.achievedBytes);
    left = std::max<std::int64_t>(left - one.achievedBytes, 0);
    allocation.widths[share.unit] = std::move(one.widths.front());
  }
  summarise(request, allocation);
  if (finest < request.rankStep && allocation.note.empty())
    allocation.note =
        fmt::format("Of groups whose share is less than the rank step of {}, ranks come in steps down to {}.",
                    request.rankStep, finest);
  return allocation;
}

}  // namespace kvista
