// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "core/plan/allocate.h"
#include "core/plan/weighted_shares.h"

namespace kvista {

namespace {

/// Bytes in proportion to the effective rank of each unit (methods.md section 7): exp of the entropy of its singular
/// values, the roots of its eigenvalues. Whatever scale a spectrum has, only its shape counts.
Result<Allocation> allocate(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  std::vector<double> ranks;
  for (const BudgetUnit& unit : request.units) {
    std::vector<double> singularValues;
    for (const double eigenvalue : unit.spectrum.eigenvalues)
      singularValues.push_back(std::sqrt(std::max(eigenvalue, 0.0)));
    ranks.push_back(measure(singularValues).effectiveRank);
  }
  return allocateInShares(request, ranks);
}

}  // namespace

Allocator erankAllocator() {
  return {"erank", "Bytes in proportion to each group's effective rank, the exponential of its spectrum's entropy.",
          allocate, "Roy and Vetterli, The effective rank (2007); of caches: KV-CoRE"};
}

}  // namespace kvista
