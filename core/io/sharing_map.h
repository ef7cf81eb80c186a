// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// Which layer's cache each layer reads, in a file of its own: {"sharedFrom": [0, 1, 1], "cosine": 0.93}. The list may
/// be edited.
struct SharingMap {
  std::vector<int> sharedFrom;   ///< CompressionPlan::sharedFrom.
  std::optional<double> cosine;  ///< Of the final states with and without it; absent where it was not measured.
};

/// Errors: io, corruptFile for what is no JSON, invalidArgument for what is no list of layers. Whether it fits a model
/// is not looked at.
Result<SharingMap> readSharingMap(const std::filesystem::path& file);
Result<void> writeSharingMap(const std::filesystem::path& file, const SharingMap& map);

}  // namespace kvista
