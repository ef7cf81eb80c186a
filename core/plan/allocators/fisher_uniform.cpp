// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <utility>

#include "core/plan/allocate.h"
#include "core/plan/plan.h"

namespace kvista {

namespace {

/// The groups of one side of one layer; the paper scores whole projections.
struct Projection {
  std::vector<std::size_t> units;
  double score = 0;
  std::int64_t capacity = 0;
  std::int64_t rank = 0;
  double remainder = 0;
};

std::int64_t roundHalfToEven(std::int64_t value, std::int64_t block) {
  const std::int64_t whole = value / block;
  const std::int64_t twice = 2 * (value % block);
  return (whole + (twice > block || (twice == block && whole % 2 != 0) ? 1 : 0)) * block;
}

/// Shares of `total` by score, rounded down; the rest one by one, largest remainder first, never above a capacity.
void shareOut(std::vector<Projection>& projections, std::int64_t total) {
  double scores = 0;
  std::int64_t left = 0;
  for (const Projection& projection : projections) {
    scores += projection.score;
    left += projection.capacity;
  }
  left = std::min(left, total);
  std::vector<Projection*> order;
  for (Projection& projection : projections) {
    const double part = scores > 0 ? projection.score / scores : 1.0 / static_cast<double>(projections.size());
    const double wanted = static_cast<double>(total) * part;
    projection.rank = std::min({static_cast<std::int64_t>(std::floor(wanted)), projection.capacity, left});
    projection.remainder = wanted - static_cast<double>(projection.rank);
    left -= projection.rank;
    order.push_back(&projection);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const Projection* a, const Projection* b) { return a->remainder > b->remainder; });
  // Ends: ranks and what is left add up to at most all capacities, so while something is left some projection has
  // room, and every round gives it one.
  while (left > 0) {
    for (Projection* projection : order) {
      if (left == 0) break;
      if (projection->rank == projection->capacity) continue;
      ++projection->rank;
      --left;
    }
  }
}

/// The rule of Palu and ReCalKV (methods.md sections 8 and 9): the total rank by Fisher score over projections, even
/// over a projection's groups, rounded half to even to multiples of the rank step, at least one. It repairs nothing afterwards, so
/// what it achieves differs from what was asked for. The papers' step is 32, which heads of 32 would all keep whole.
Result<Allocation> allocate(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  if (request.allowedWidths.size() != 2)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The allocator fisher_uniform hands out ranks, but {} widths are allowed.",
                            request.allowedWidths.size()),
                "Use waterline or uniform for coded plans.");
  const int width = request.allowedWidths.back();
  const std::int64_t block = request.rankStep;

  Allocation allocation;
  allocation.widths.resize(request.units.size());
  std::int64_t bytes = request.budgetBytes;
  std::map<std::pair<int, int>, Projection> byPlace;
  for (std::size_t i = 0; i < request.units.size(); ++i) {
    const BudgetUnit& unit = request.units[i];
    if (unit.locked) {
      allocation.widths[i] = unit.widths;
      bytes -= storedBytes(unit.widths);
      continue;
    }
    Projection& projection = byPlace[{unit.layer, unit.side}];
    projection.units.push_back(i);
    projection.score += unit.fisherScore;
    projection.capacity += unit.maximumRank;
  }
  std::vector<Projection> projections;
  for (auto& [place, projection] : byPlace) {
    projection.score /= static_cast<double>(projection.units.size());
    projections.push_back(std::move(projection));
  }
  shareOut(projections, std::max<std::int64_t>(bytes, 0) * 8 / width);

  for (const Projection& projection : projections) {
    const std::int64_t each = projection.rank / static_cast<std::int64_t>(projection.units.size());
    const std::int64_t rounded = std::max(roundHalfToEven(each, block), block);
    for (const std::size_t index : projection.units) {
      const BudgetUnit& unit = request.units[index];
      const auto rank = std::clamp<std::int64_t>(rounded, unit.minimumRank, unit.maximumRank);
      allocation.widths[index].assign(unit.spectrum.eigenvalues.size(), 0);
      std::fill_n(allocation.widths[index].begin(), rank, static_cast<std::uint8_t>(width));
    }
  }
  summarise(request, allocation);
  allocation.note.clear();
  if (allocation.achievedBytes != allocation.requestedBytes)
    allocation.note = fmt::format("Rounding ranks to multiples of {} turned {} bytes a token into {}.", block,
                                  allocation.requestedBytes, allocation.achievedBytes);
  return allocation;
}

}  // namespace

Allocator fisherUniformAllocator() {
  return {"fisher_uniform", "The paper's rule: ranks by Fisher score of the projection, rounded to the rank step.", allocate, "Palu (Chang et al., 2024); ReCalKV (2025)"};
}

}  // namespace kvista
