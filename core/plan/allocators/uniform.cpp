// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/allocate.h"
#include "core/plan/weighted_shares.h"

namespace kvista {

namespace {

/// Every unit gets the same bytes a number, so the same kept fraction when widths are {0, 16}.
Result<Allocation> allocate(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  std::vector<double> numbers;
  for (const BudgetUnit& unit : request.units) numbers.push_back(static_cast<double>(unit.spectrum.eigenvalues.size()));
  return allocateInShares(request, numbers);
}

}  // namespace

Allocator uniformAllocator() {
  return {"uniform", "The same bytes a number for every group, wherever they would help most.", allocate,
          "help page Methods, section 8"};
}

}  // namespace kvista
