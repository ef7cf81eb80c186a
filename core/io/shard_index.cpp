// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/shard_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "core/io/json_file.h"

namespace kvista {
namespace {

constexpr std::size_t kMaximumIndexBytes = std::size_t{64} << 20;

/// Why a shard name is refused; empty when it is fine.
std::string_view problemOf(const std::string& shard) {
  if (shard.empty()) return "is empty";
  if (shard.find('\0') != shard.npos) return "contains the character NUL";
  const std::filesystem::path path(shard);
  if (path.is_absolute()) return "is an absolute path";
  if (std::ranges::find(path, std::filesystem::path("..")) != path.end()) return "leads out of the model's folder";
  return {};
}

}  // namespace

Result<std::map<std::string, std::string>> readShardIndex(const std::filesystem::path& file) {
  KVISTA_ASSIGN(const nlohmann::json index, readJsonFile(file, kMaximumIndexBytes));
  const auto corrupt = [&](const std::string& what) {
    return fail(ErrorCode::corruptFile, fmt::format("{} {}.", file.string(), what),
                "Download the index again; it comes with the checkpoint's shards.");
  };
  if (!index.is_object()) return corrupt(fmt::format("is {} instead of an object", kindOf(index)));
  const auto map = index.find("weight_map");
  if (map == index.end()) return corrupt("has no field \"weight_map\"");
  if (!map->is_object()) return corrupt(fmt::format("has {} as \"weight_map\" instead of an object", kindOf(*map)));
  if (map->empty()) return corrupt("has an empty \"weight_map\"");
  std::map<std::string, std::string> shardOf;
  for (const auto& [tensor, value] : map->items()) {
    if (!value.is_string())
      return corrupt(
          fmt::format("gives {} instead of a file name for tensor {}", kindOf(value), quoteForMessage(tensor)));
    const auto& shard = value.get_ref<const std::string&>();
    if (const std::string_view problem = problemOf(shard); !problem.empty())
      return corrupt(fmt::format("gives the file name {} for tensor {}, which {}", quoteForMessage(shard),
                                 quoteForMessage(tensor), problem));
    shardOf.emplace(tensor, shard);
  }
  return shardOf;
}

}  // namespace kvista
