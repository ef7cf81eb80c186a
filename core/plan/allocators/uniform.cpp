// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/plan/allocate.h"
#include "core/plan/plan.h"

namespace kvista {

Allocator waterlineAllocator();

namespace {

/// What one unit may take: bytes in proportion to its numbers, within its own bounds.
struct Share {
  std::size_t unit = 0;
  double numbers = 0;
  double smallest = 0;
  double largest = 0;
  [[nodiscard]] double at(double bytesPerNumber) const {
    return std::clamp(bytesPerNumber * numbers, smallest, largest);
  }
};

Share shareOf(const AllocationRequest& request, std::size_t index) {
  const BudgetUnit& unit = request.units[index];
  // Directions that carry nothing take no bytes.
  const auto useful =
      std::count_if(unit.spectrum.eigenvalues.begin(), unit.spectrum.eigenvalues.begin() + unit.maximumRank,
                    [](double eigenvalue) { return eigenvalue > 0; });
  Share share;
  share.unit = index;
  share.numbers = static_cast<double>(unit.spectrum.eigenvalues.size());
  share.smallest = unit.minimumRank * request.allowedWidths[1] / 8.0;
  share.largest = std::max(share.smallest, static_cast<double>(useful) * request.allowedWidths.back() / 8.0);
  return share;
}

/// Every unit gets the same bytes a number, so the same kept fraction when widths are {0, 16}; within a unit the bits
/// go where they save most, as the waterline does. What whole blocks leave over goes to the next unit, so that the sum
/// ends within one block of the budget.
Result<Allocation> allocate(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  Allocation allocation;
  allocation.widths.resize(request.units.size());
  std::vector<Share> shares;
  double budget = static_cast<double>(request.budgetBytes);
  for (std::size_t i = 0; i < request.units.size(); ++i) {
    if (request.units[i].locked) {
      allocation.widths[i] = request.units[i].widths;
      budget -= static_cast<double>(storedBytes(request.units[i].widths));
    } else {
      shares.push_back(shareOf(request, i));
    }
  }

  // Bytes a number at which the shares, bounds respected, spend the budget.
  double low = 0, high = request.allowedWidths.back() / 8.0;
  constexpr int kHalvings = 60;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    double sum = 0;
    for (const Share& share : shares) sum += share.at(middle);
    (sum <= budget ? low : high) = middle;
  }

  // `high` is the end that reaches the budget; the excess of the last bits of a double is cut by `left`.
  double due = 0;
  auto left = static_cast<std::int64_t>(std::max(budget, 0.0));
  for (const Share& share : shares) {
    due += share.at(high);
    AllocationRequest part{{request.units[share.unit]}, request.allowedWidths, request.rankStep, 0};
    constexpr double kRounding = 1e-6;
    part.budgetBytes = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(due + kRounding)), 0, left);
    KVISTA_ASSIGN(Allocation one, waterlineAllocator().allocate(part));
    due -= static_cast<double>(one.achievedBytes);
    left = std::max<std::int64_t>(left - one.achievedBytes, 0);
    allocation.widths[share.unit] = std::move(one.widths.front());
  }
  summarise(request, allocation);
  return allocation;
}

}  // namespace

Allocator uniformAllocator() {
  return {"uniform", "The same bytes a number for every group, wherever they would help most.", allocate};
}

}  // namespace kvista
