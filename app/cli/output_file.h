// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// Refuses, before any work, an output file that could not be written, and one that would replace an input: `inputs`
/// are files, or folders whose models and texts are inputs. Errors: io, invalidArgument.
Result<void> checkOutputFile(const std::filesystem::path& output, const std::vector<std::filesystem::path>& inputs);

}  // namespace kvista
