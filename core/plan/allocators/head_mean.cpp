// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/head_mean.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <queue>
#include <utility>

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
    for (std::size_t r = 0; r < tail.size(); ++r)
      tail[r] += beyond[std::min(r, eigenvalues.size())] / beyond[0] / static_cast<double>(units.size());
  }
  return tail;
}

/// All that is not locked, at its smallest ranks.
class Places {
 public:
  explicit Places(const AllocationRequest& request) : request_(request), step_(std::max(request.rankStep, 1)) {
    for (std::size_t i = 0; i < request.units.size(); ++i) {
      const BudgetUnit& unit = request.units[i];
      if (unit.locked) {
        lockedBytes_ += storedBytes(unit.widths);
        continue;
      }
      Heads& heads = all_[{unit.layer, unit.side}];
      heads.units.push_back(i);
      heads.rank = std::max(heads.rank, std::min((unit.minimumRank + step_ - 1) / step_ * step_, unit.maximumRank));
      heads.largest = std::max(heads.largest, unit.maximumRank);
    }
    for (auto& [place, heads] : all_) heads.tail = meanTail(request, heads.units, heads.largest);
  }

  [[nodiscard]] std::map<std::pair<int, int>, Heads>& all() { return all_; }
  [[nodiscard]] std::int64_t lockedBytes() const { return lockedBytes_; }
  [[nodiscard]] int next(const Heads& heads) const { return std::min(heads.rank + step_, heads.largest); }
  /// Of heads that differ in width or bounds, each keeps to its own.
  [[nodiscard]] int rankOf(std::size_t index, int rank) const {
    return std::clamp(rank, request_.units[index].minimumRank, request_.units[index].maximumRank);
  }
  [[nodiscard]] std::int64_t bytesOf(const Heads& heads, int rank) const {
    std::int64_t bytes = 0;
    for (const std::size_t index : heads.units)
      bytes += (std::int64_t{rankOf(index, rank)} * request_.allowedWidths.back() + 7) / 8;
    return bytes;
  }

 private:
  const AllocationRequest& request_;
  int step_;
  std::int64_t lockedBytes_ = 0;
  std::map<std::pair<int, int>, Heads> all_;
};

Result<void> check(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  if (request.allowedWidths.size() == 2) return {};
  return fail(
      ErrorCode::invalidArgument,
      fmt::format("The allocator head-mean hands out ranks, but {} widths are allowed.", request.allowedWidths.size()),
      "Use waterline or uniform for coded plans.");
}

/// KQ-SVD's rule (methods.md section 6) for a budget: all heads of a layer's keys, and all of its values, have one
/// rank, and the side of a layer that loses most in the mean over heads gets the next step, so that the largest loss,
/// eps^2, is the smallest that the budget allows. What is left when that side's step does not fit goes to the others in
/// the same order: they may then lose less than the rule asks for. Ends: every round raises a rank or closes a layer's
/// side.
Result<Allocation> allocate(const AllocationRequest& request) {
  KVISTA_CHECK(check(request));
  Places places(request);
  const auto later = [](const Heads* a, const Heads* b) {
    return a->tail[static_cast<std::size_t>(a->rank)] < b->tail[static_cast<std::size_t>(b->rank)];
  };
  std::priority_queue<Heads*, std::vector<Heads*>, decltype(later)> worst(later);
  std::int64_t left = request.budgetBytes - places.lockedBytes();
  for (auto& [place, heads] : places.all()) {
    left -= places.bytesOf(heads, heads.rank);
    worst.push(&heads);
  }
  while (!worst.empty()) {
    Heads* heads = worst.top();
    worst.pop();
    const int next = places.next(*heads);
    const std::int64_t cost = places.bytesOf(*heads, next) - places.bytesOf(*heads, heads->rank);
    if (next == heads->rank || cost > left || heads->tail[static_cast<std::size_t>(heads->rank)] <= 0) continue;
    left -= cost;
    heads->rank = next;
    worst.push(heads);
  }
  Allocation allocation;
  allocation.widths.resize(request.units.size());
  for (std::size_t i = 0; i < request.units.size(); ++i)
    if (request.units[i].locked) allocation.widths[i] = request.units[i].widths;
  for (const auto& [place, heads] : places.all()) {
    for (const std::size_t index : heads.units) {
      allocation.widths[index].assign(request.units[index].spectrum.eigenvalues.size(), 0);
      std::fill_n(allocation.widths[index].begin(), places.rankOf(index, heads.rank),
                  static_cast<std::uint8_t>(request.allowedWidths.back()));
    }
  }
  summarise(request, allocation);
  return allocation;
}

}  // namespace

std::optional<double> reachedEps(const CompressionPlan& plan, const std::vector<BudgetUnit>& units) {
  struct Lost {
    double parts = 0;
    int heads = 0;
  };
  std::map<std::pair<int, int>, Lost> places;
  for (std::size_t i = 0; i < units.size() && i < plan.groups.size(); ++i) {
    if (plan.groups[i].locked) continue;
    double whole = 0, lost = 0;
    for (std::size_t d = 0; d < units[i].spectrum.eigenvalues.size(); ++d) {
      const double energy = std::max(units[i].spectrum.eigenvalues[d], 0.0);
      whole += energy;
      if (plan.groups[i].widths[d] == 0) lost += energy;
    }
    Lost& place = places[{units[i].layer, units[i].side}];
    place.parts += whole > 0 ? lost / whole : 0;
    ++place.heads;
  }
  if (places.empty()) return std::nullopt;
  double most = 0;
  for (const auto& [place, lost] : places) most = std::max(most, lost.parts / lost.heads);
  return std::sqrt(most);
}

Result<std::int64_t> bytesForEps(const AllocationRequest& request, double eps) {
  KVISTA_CHECK(check(request));
  if (!(eps > 0) || eps >= 1)
    return fail(ErrorCode::invalidArgument,
                fmt::format("An eps of {} is not possible; it must be above 0 and below 1.", eps));
  constexpr double kRounding = 1 + 1e-12;  // of sums in another order
  Places places(request);
  std::int64_t bytes = places.lockedBytes();
  for (auto& [place, heads] : places.all()) {
    while (heads.rank < heads.largest && heads.tail[static_cast<std::size_t>(heads.rank)] > eps * eps * kRounding)
      heads.rank = places.next(heads);
    bytes += places.bytesOf(heads, heads.rank);
  }
  return bytes;
}

Allocator headMeanAllocator() {
  return {"head-mean",
          "One rank for all heads of a layer's side, where they lose the same part of their energy in the mean.",
          allocate, "KQ-SVD (Lesens et al., 2025), rank rule"};
}

}  // namespace kvista
