// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "core/plan/spectrum.h"

namespace kvista {

/// Widths of a group whose rank is set by hand, clamped to 0 and the spectrum's size. For two allowed widths {0, b} the
/// first `rank` directions get b bits. With more of them the group gets its own water, as high as leaves exactly `rank`
/// directions above it: each has the bits that are worth more than the next direction's first (methods.md section 10).
/// So a rank that the waterline gave comes back with the widths that it gave, direction by direction.
/// `allowedWidths` as AllocationRequest::allowedWidths.
std::vector<std::uint8_t> widthsForRank(const Spectrum& spectrum, const std::vector<int>& allowedWidths, int rank);

}  // namespace kvista
