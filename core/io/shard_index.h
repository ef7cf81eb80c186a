// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/base/error.h"

namespace kvista {

/// Reads a model.safetensors.index.json: tensor name to shard name. Shard names are relative and stay inside the
/// folder. Errors: io, corruptFile.
Result<std::map<std::string, std::string>> readShardIndex(const std::filesystem::path& file);

}  // namespace kvista
