// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/plan/allocate.h"

namespace kvista {

/// Brings all units that are not locked down to one level of loss, as low as the budget allows: the next step always
/// goes to the unit whose loss divided by its scale is largest, there to the block where it saves most a bit. What is
/// left where that unit's step does not fit any more goes to the next, so that the sum ends within one block of the
/// budget. No other allocation of blocks of one size has a smaller largest loss. `scales`: one a unit, above 0; those
/// of locked units are not used. The request must have passed checkRequest.
Result<Allocation> allocateToCommonLevel(const AllocationRequest& request, const std::vector<double>& scales);

}  // namespace kvista
