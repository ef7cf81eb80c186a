// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/plan/allocate.h"

namespace kvista {

/// Every unit that is not locked gets bytes in proportion to its weight, within its own bounds; within a unit the bits
/// go where they save most, as the waterline does. What whole blocks leave over goes to the next unit, so that the sum
/// ends within one block of the budget; a unit whose share is less than a block gets blocks of half the rank step, or a
/// quarter, and so on. `weights`: one a unit, at least 0; those of locked units are not used. The request must have
/// passed checkRequest.
Result<Allocation> allocateInShares(const AllocationRequest& request, const std::vector<double>& weights);

}  // namespace kvista
