// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/plan/cost.h"

namespace kvista {

/// Profiles of GPUs that `kvista bench decode` has measured for the user, a file each in `devices` of the data folder.
struct MeasuredProfiles {
  std::vector<DeviceProfile> profiles;  ///< The one measured last comes first.
  std::vector<std::string> problems;    ///< A sentence about each file that is none.
};
MeasuredProfiles readMeasuredProfiles();
/// Keeps a profile in place of an older one of the same name. Answers its file.
Result<std::filesystem::path> saveMeasuredProfile(const DeviceProfile& profile);

}  // namespace kvista
