// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// Reads a model.safetensors.index.json: tensor name to shard name. Shard names are relative and stay inside the
/// folder. Errors: io, corruptFile.
Result<std::map<std::string, std::string>> readShardIndex(const std::filesystem::path& file);

/// Of a folder without an index the files that are named as shards are, "model-00002-of-00005.safetensors" (or .bin),
/// in their order; none where there are none. Errors (io): some of them are missing.
Result<std::vector<std::filesystem::path>> findShards(const std::filesystem::path& folder);

}  // namespace kvista
