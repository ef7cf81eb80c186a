// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/plan/grouping.h"
#include "core/plan/plan.h"

namespace kvista {

/// From groups of heads to groups of a plan. All widths are 16: nothing is compressed yet. Heads must be of the shape.

/// One layer with keys and values apart: the key groups, then the value groups.
std::vector<Group> groupsOf(const ModelShape& shape, int layer, const HeadGroups& keyGroups,
                            const HeadGroups& valueGroups);
/// One layer with the keys and the values of the same heads in one group.
std::vector<Group> joinKeysAndValues(const ModelShape& shape, int layer, const HeadGroups& heads);
/// Every slot of the model on its own.
std::vector<Group> singleSlots(const ModelShape& shape);

}  // namespace kvista
