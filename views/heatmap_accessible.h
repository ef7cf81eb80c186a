// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace kvista {

/// Lets assistive technology read every HeatmapCanvas as a table whose rows and columns are heads in the order shown.
void installHeatmapAccessibility();

}  // namespace kvista
