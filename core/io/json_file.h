// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace kvista {

/// Parses JSON strictly: UTF-8, no duplicate keys within an object, nesting at most `maximumDepth`, no bare NaN, at
/// most eight million values. `what` names the source in messages ("config.json of /models/x"). Errors: corruptFile.
Result<nlohmann::json> parseJson(std::string_view text, std::string_view what, int maximumDepth = 64);

/// Reads and parses a regular file of at most `maximumBytes`. Errors: corruptFile, io.
Result<nlohmann::json> readJsonFile(const std::filesystem::path& path,
                                    std::size_t maximumBytes = std::size_t{256} << 20);

/// A name from a file as a message may show it: in quotes, control characters escaped, cut after 200 bytes.
std::string quoteForMessage(std::string_view name);

/// "an object", "an array", "a string", ...: what a field holds, for messages.
std::string_view kindOf(const nlohmann::json& value);

}  // namespace kvista
