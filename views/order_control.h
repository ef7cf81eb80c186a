// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "views/heatmap_order.h"
#include "views/segmented_control.h"

namespace kvista {

/// index | group | cluster | mean | own, with what each does as its tooltip; ids as `orderId` gives them. `withCustom`:
/// where heads can be put in an order of one's own.
SegmentedControl* makeOrderControl(bool withCustom);

/// What is shown where `wanted` may need groups that there are none of; the control shows it and refuses what there is
/// not.
HeatmapOrder shownOrder(HeatmapOrder wanted, bool hasGroups, SegmentedControl* control);

}  // namespace kvista
