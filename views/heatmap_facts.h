// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "views/heatmap_canvas.h"
#include "views/selection_facts.h"

namespace kvista {

/// What a heatmap says of itself about selected cells: a pair and its groups, one head and the others, or a block.
Facts factsOf(const HeatmapRecord& record, const HeadBlock& selection);

}  // namespace kvista
