// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>

#include "core/plan/grouping.h"

namespace kvista {

Grouping neighboursGrouping();
Grouping greedyGrouping();

namespace {

/// What is minimised: the true truncated loss where it is given, else the negative similarity within groups.
class Objective {
 public:
  explicit Objective(const GroupingRequest& request) : request_(request) {}

  double operator()(std::vector<int> heads) {
    std::sort(heads.begin(), heads.end());
    const auto [entry, isNew] = known_.try_emplace(std::move(heads), 0.0);
    if (isNew) entry->second = compute(entry->first);
    return entry->second;
  }
  double operator()(const HeadGroups& groups) {
    double sum = 0;
    for (const auto& heads : groups) sum += (*this)(heads);
    return sum;
  }

 private:
  [[nodiscard]] double compute(const std::vector<int>& heads) const {
    if (request_.truncatedLoss) return request_.truncatedLoss(heads);
    double sum = 0;
    for (std::size_t i = 0; i < heads.size(); ++i)
      for (std::size_t j = 0; j < i; ++j) sum -= request_.similarity(heads[i], heads[j]);
    return sum;
  }
  const GroupingRequest& request_;
  std::map<std::vector<int>, double> known_;  // A truncated loss is an eigenvalue problem: none is solved twice.
};

/// Exchanges two heads of different groups if that improves the sum by more than rounding.
bool trySwap(HeadGroups& groups, std::size_t a, std::size_t i, std::size_t b, std::size_t j, Objective& objective) {
  const double before = objective(groups[a]) + objective(groups[b]);
  std::swap(groups[a][i], groups[b][j]);
  constexpr double kRounding = 1e-12;
  const double after = objective(groups[a]) + objective(groups[b]);
  if (after < before - kRounding * std::abs(before)) return true;
  std::swap(groups[a][i], groups[b][j]);
  return false;
}

/// Ends: the sum falls with every exchange and there are finitely many groupings.
void improve(HeadGroups& groups, Objective& objective) {
  for (bool improved = true; improved;) {
    improved = false;
    for (std::size_t a = 0; a < groups.size(); ++a)
      for (std::size_t b = a + 1; b < groups.size(); ++b)
        for (std::size_t i = 0; i < groups[a].size(); ++i)
          for (std::size_t j = 0; j < groups[b].size(); ++j) improved |= trySwap(groups, a, i, b, j, objective);
  }
}

Result<HeadGroups> group(const GroupingRequest& request) {
  KVISTA_CHECK(checkRequest(request, true));
  KVISTA_ASSIGN(HeadGroups best, greedyGrouping().group(request));
  KVISTA_ASSIGN(HeadGroups other, neighboursGrouping().group(request));
  Objective objective(request);
  improve(best, objective);
  improve(other, objective);
  const double loss = objective(best);
  const double otherLoss = objective(other);
  if (!std::isfinite(loss) || !std::isfinite(otherLoss))
    return fail(ErrorCode::numerical, "The truncated loss of a group of heads is not a finite number.",
                "Group by similarity instead.");
  return canonical(otherLoss < loss ? std::move(other) : std::move(best));
}

}  // namespace

Grouping swapGrouping() {
  return {"swap", "Exchanges pairs of heads while similarity within groups improves.", true, group};
}

}  // namespace kvista
