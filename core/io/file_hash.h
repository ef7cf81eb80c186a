// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "core/base/error.h"

namespace kvista {

/// 16 hex digits that tell what a file holds, as contentHash does of a checkpoint's files. Errors: those of reading.
Result<std::string> fileHash(const std::filesystem::path& file);

}  // namespace kvista
