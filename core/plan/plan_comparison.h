// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/plan/matrix.h"
#include "core/plan/plan.h"

namespace kvista {

/// What plans of one model are compared by, whatever their groups. Slots share what their group costs by their numbers:
/// a slot of half the group's numbers has half its bytes and half its loss. NaN where no group has the slot; slots that
/// are not of the shape are left out.

/// Bits a number, 8 * bytesPerToken of the group / its numbers: [layers, 2 * kvHeads], key heads, then value heads.
Matrix bitsPerNumber(const CompressionPlan& plan, const ModelShape& shape);

/// Nats a token by layer and side: [layers, 2], keys, then values. `groupLosses`: one a group of the plan, NaN where
/// not known, which makes every layer and side that the group touches unknown. Empty when their number differs from the
/// groups'.
Matrix lossByLayer(const CompressionPlan& plan, const ModelShape& shape, const std::vector<double>& groupLosses);

}  // namespace kvista
