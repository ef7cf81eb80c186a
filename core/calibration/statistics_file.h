// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "core/base/error.h"

namespace kvista {

/// Content hash of the model that a file's statistics are of; none of its tensors is read. Errors: as loadStatistics.
Result<std::string> modelOfStatistics(const std::filesystem::path& file);

}  // namespace kvista
