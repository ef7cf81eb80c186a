// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/allocate.h"
#include "core/plan/common_level.h"

namespace kvista {

namespace {

/// The largest loss of any unit as small as the budget allows.
Result<Allocation> allocate(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  return allocateToCommonLevel(request, std::vector<double>(request.units.size(), 1.0));
}

}  // namespace

Allocator minimaxAllocator() {
  return {"minimax", "The largest loss of any group is as small as the budget allows.", allocate,
          "help page Methods, section 8"};
}

}  // namespace kvista
