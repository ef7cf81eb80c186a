// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <queue>
#include <utility>

#include "core/plan/allocate.h"
#include "core/plan/plan.h"

namespace kvista {

namespace {

/// The heads of one side of one layer, which get one rank.
struct Heads {
  std::vector<std::size_t> units;
  std::vector<double> tail;  // tail[r]: mean over heads of the part of their energy that r directions lose.
  int rank = 0, largest = 0;
};

std::vector<double> meanTail(const AllocationRequest& request, const std::vector<std::size_t>& units, int largest) {
  std::vector<double> tail(static_cast<std::size_t>(largest) + 1, 0.0);
  for (const std::size_t index : units) {
    const std::vector<double>& eigenvalues = request.units[index].spectrum.eigenvalues;
    std::vector<double> beyond(eigenvalues.size() + 1, 0.0);
    for (std::size_t i = eigenvalues.size(); i-- > 0;) beyond[i] = beyond[i + 1] + std::max(eigenvalues[i], 0.0);
    if (beyond[0] <= 0) continue;
    for (std::size_t r = 0; r < tail.size(); ++r) tail[r] += beyond[std::min(r, eigenvalues.size())] / beyond[0] / static_cast<double>(units.size());
  }
  return tail;
}

/// KQ-SVD's rule (methods.md section 6): all heads of a layer's keys, and all of its values, have the smallest rank at which the mean over
/// heads of the part of energy that they lose is at most eps^2; eps is the smallest that the budget allows. Ends: every round raises a
/// rank or closes a layer's side.
Result<Allocation> allocate(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  if (request.allowedWidths.size() != 2)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The allocator head-mean hands out ranks, but {} widths are allowed.", request.allowedWidths.size()),
                "Use waterline or uniform for coded plans.");
  const int width = request.allowedWidths.back(), step = std::max(request.rankStep, 1);
  Allocation allocation;
  allocation.widths.resize(request.units.size());
  std::int64_t left = request.budgetBytes;
  std::map<std::pair<int, int>, Heads> byPlace;
  for (std::size_t i = 0; i < request.units.size(); ++i) {
    const BudgetUnit& unit = request.units[i];
    if (unit.locked) {
      allocation.widths[i] = unit.widths;
      left -= storedBytes(unit.widths);
      continue;
    }
    Heads& heads = byPlace[{unit.layer, unit.side}];
    heads.units.push_back(i);
    heads.rank = std::max(heads.rank, std::min((unit.minimumRank + step - 1) / step * step, unit.maximumRank));
    heads.largest = std::max(heads.largest, unit.maximumRank);
  }
  // Of heads that differ in width or bounds, each keeps to its own.
  const auto rankOf = [&](std::size_t index, int rank) { return std::clamp(rank, request.units[index].minimumRank, request.units[index].maximumRank); };
  const auto bytesOf = [&](const Heads& heads, int rank) {
    std::int64_t bytes = 0;
    for (const std::size_t index : heads.units) bytes += (std::int64_t{rankOf(index, rank)} * width + 7) / 8;
    return bytes;
  };
  const auto later = [](const Heads* a, const Heads* b) {
    return a->tail[static_cast<std::size_t>(a->rank)] < b->tail[static_cast<std::size_t>(b->rank)];
  };
  std::priority_queue<Heads*, std::vector<Heads*>, decltype(later)> worst(later);
  for (auto& [place, heads] : byPlace) {
    heads.tail = meanTail(request, heads.units, heads.largest);
    left -= bytesOf(heads, heads.rank);
    worst.push(&heads);
  }
  while (!worst.empty()) {
    Heads* heads = worst.top();
    worst.pop();
    const int next = std::min(heads->rank + step, heads->largest);
    const std::int64_t cost = bytesOf(*heads, next) - bytesOf(*heads, heads->rank);
    if (next == heads->rank || cost > left || heads->tail[static_cast<std::size_t>(heads->rank)] <= 0) continue;
    left -= cost;
    heads->rank = next;
    worst.push(heads);
  }
  for (const auto& [place, heads] : byPlace) {
    for (const std::size_t index : heads.units) {
      allocation.widths[index].assign(request.units[index].spectrum.eigenvalues.size(), 0);
      std::fill_n(allocation.widths[index].begin(), rankOf(index, heads.rank), static_cast<std::uint8_t>(width));
    }
  }
  summarise(request, allocation);
  return allocation;
}

}  // namespace

Allocator headMeanAllocator() {
  return {"head-mean", "One rank for all heads of a layer's side, where they lose the same part of their energy in the mean.", allocate,
          "KQ-SVD (Lesens et al., 2025), rank rule"};
}

}  // namespace kvista
