// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/plan/cost.h"

namespace kvista {

/// Puts profiles that were measured on the machine at hand before the built-in ones, for the whole process; to be
/// called before anything asks for one. A measured profile takes the place of one of the same name. The first of
/// deviceProfiles() is the one that costs are shown for unless another is chosen.
void useMeasuredProfiles(std::vector<DeviceProfile> measured);

/// "NVIDIA H200, as measured by `kvista bench decode`", "h200, built-in figures": where its figures come from.
std::string profileInWords(const DeviceProfile& profile);
/// False for those that come with the program.
bool isMeasured(const DeviceProfile& profile);

}  // namespace kvista
