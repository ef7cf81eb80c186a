// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>
#include <vector>

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

/// What a group can do without next.
struct Take {
  std::int64_t rank = -1;  ///< What it is left with; -1: nothing can be taken.
  double loss = 0;         ///< For each direction.
};

/// From `rank` to the next multiple of `step` below, if that is not less than the group keeps at least. A direction's
/// loss is its energy times the squared score of its projection: gradients of weights are those of outputs times
/// inputs, which all projections share.
Take takeOf(const BudgetUnit& unit, std::int64_t rank, std::int64_t step, std::int64_t least) {
  Take take{(rank - 1) / step * step};
  if (rank == 0 || take.rank < std::max<std::int64_t>(least, unit.minimumRank)) return {};
  for (std::int64_t i = take.rank; i < rank; ++i) take.loss += unit.spectrum.eigenvalues[static_cast<std::size_t>(i)];
  take.loss *= unit.fisherScore * unit.fisherScore / static_cast<double>(rank - take.rank);
  return take;
}

/// Takes steps of the least loss away until the ranks fit into `allowed` bytes: whole rank steps first, each group
/// keeping one; where all are down to that, half a step, and so on, so that no group goes without as long as a
/// direction for each fits. `units` are not locked.
void repair(const std::vector<const BudgetUnit*>& units, std::vector<std::int64_t>& ranks, std::int64_t block,
            int width, std::int64_t allowed) {
  const auto bytesOf = [width](std::int64_t rank) {
    return storedBytes(std::vector<std::uint8_t>(static_cast<std::size_t>(rank), static_cast<std::uint8_t>(width)));
  };
  std::int64_t bytes = 0;
  for (const std::int64_t rank : ranks) bytes += bytesOf(rank);
  std::vector<Take> takes(units.size());
  for (std::int64_t least = block; bytes > allowed; least /= 2) {
    const auto look = [&](std::size_t i) {
      takes[i] = takeOf(*units[i], ranks[i], std::max<std::int64_t>(least, 1), least);
    };
    for (std::size_t i = 0; i < units.size(); ++i) look(i);
    while (bytes > allowed) {
      const auto cost = [](const Take& take) {
        return take.rank < 0 ? std::numeric_limits<double>::infinity() : take.loss;
      };
      const auto cheapest = std::ranges::min_element(takes, {}, cost);
      if (cheapest == takes.end() || cheapest->rank < 0) break;
      const auto i = static_cast<std::size_t>(cheapest - takes.begin());
      bytes += bytesOf(cheapest->rank) - bytesOf(ranks[i]);
      ranks[i] = cheapest->rank;
      look(i);
    }
    if (least == 0) break;
  }
}

/// The rule of Palu and ReCalKV (methods.md sections 8 and 9): the total rank by Fisher score over projections, even
/// over a projection's groups, rounded half to even to multiples of the rank step, at least one. The papers leave it at
/// that, which can take more than was asked for; here steps are then taken away until it does not. Their step is 32,
/// which would keep heads of 32 whole.
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

  std::vector<const BudgetUnit*> units;
  std::vector<std::size_t> places;
  std::vector<std::int64_t> ranks;
  for (const Projection& projection : projections) {
    const std::int64_t each = projection.rank / static_cast<std::int64_t>(projection.units.size());
    const std::int64_t rounded = std::max(roundHalfToEven(each, block), block);
    for (const std::size_t index : projection.units) {
      const BudgetUnit& unit = request.units[index];
      units.push_back(&unit);
      places.push_back(index);
      ranks.push_back(std::clamp<std::int64_t>(rounded, unit.minimumRank, unit.maximumRank));
    }
  }
  const std::vector<std::int64_t> rounded = ranks;
  repair(units, ranks, block, width, bytes);
  for (std::size_t i = 0; i < units.size(); ++i) {
    std::vector<std::uint8_t>& widths = allocation.widths[places[i]];
    widths.assign(units[i]->spectrum.eigenvalues.size(), 0);
    std::fill_n(widths.begin(), ranks[i], static_cast<std::uint8_t>(width));
  }
  summarise(request, allocation);
  if (allocation.achievedBytes > allocation.requestedBytes) return allocation;
  if (ranks != rounded)
    allocation.note = fmt::format(
        "Ranks rounded to multiples of {} take more than {} bytes a token; steps that lose least are left out, {} "
        "remain.",
        block, allocation.requestedBytes, allocation.achievedBytes);
  else if (allocation.achievedBytes != allocation.requestedBytes)
    allocation.note = fmt::format("Rounding ranks to multiples of {} turned {} bytes a token into {}.", block,
                                  allocation.requestedBytes, allocation.achievedBytes);
  return allocation;
}

}  // namespace

Allocator fisherUniformAllocator() {
  return {"fisher_uniform",
          "The papers' rule: ranks by Fisher score of the projection, in rank steps, repaired to fit.", allocate,
          "Palu (Chang et al., 2024); ReCalKV (2025)"};
}

}  // namespace kvista
