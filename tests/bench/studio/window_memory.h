// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kvista::bench {

/// Opens a project of a 7B model (32 layers of 32 key and 32 value heads, all spectra, 64 similarity matrices) in the
/// real window, goes through all layouts and panels, drags the waterline, and prints the most memory that was resident.
/// Returns 0 if that is within the limit. Needs a QApplication.
int printWindowMemory();

}  // namespace kvista::bench
