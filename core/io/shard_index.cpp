// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/shard_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

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

struct ShardName {
  std::string beginning;  // "model-"
  std::size_t number = 0, count = 0;
};

std::optional<ShardName> shardNameOf(const std::filesystem::path& file) {
  constexpr std::string_view kOf = "-of-";
  constexpr std::size_t kMostDigits = 6;
  if (file.extension() != ".safetensors" && file.extension() != ".bin") return std::nullopt;
  const std::string name = file.stem().string();
  const std::size_t of = name.rfind(kOf);
  if (of == name.npos || of == 0) return std::nullopt;
  const std::size_t dash = name.rfind('-', of - 1);
  if (dash == name.npos) return std::nullopt;
  const std::string number = name.substr(dash + 1, of - dash - 1), count = name.substr(of + kOf.size());
  for (const std::string& digits : {number, count})
    if (digits.empty() || digits.size() > kMostDigits || digits.find_first_not_of("0123456789") != digits.npos)
      return std::nullopt;
  return ShardName{name.substr(0, dash + 1), std::stoul(number), std::stoul(count)};
}

}  // namespace

Result<std::vector<std::filesystem::path>> findShards(const std::filesystem::path& folder) {
  std::map<std::string, std::map<std::size_t, std::filesystem::path>> found;  // by all but the number
  std::map<std::string, std::size_t> counts;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const auto name = shardNameOf(entry->path());
    if (!name) continue;
    const std::string series =
        fmt::format("{}*-of-{}{}", name->beginning, name->count, entry->path().extension().string());
    found[series][name->number] = entry->path();
    counts[series] = name->count;
  }
  std::vector<std::filesystem::path> files;
  if (found.empty()) return files;
  // Where there are several, safetensors come first, as everywhere.
  const auto isSafe = [](const auto& series) { return series.first.ends_with(".safetensors"); };
  const auto safe = std::ranges::find_if(found, isSafe);
  const auto& [series, shards] = safe == found.end() ? *found.begin() : *safe;
  const std::size_t first = shards.begin()->first, last = shards.rbegin()->first;  // Some count from 0.
  if (shards.size() != counts.at(series) || first > 1 || last - first + 1 != shards.size())
    return fail(ErrorCode::io,
                fmt::format("{} holds {} of {} shards, such as {}, and no index of them.", folder.string(),
                            shards.size(), counts.at(series), shards.begin()->second.filename().string()),
                "Download the missing shards into the folder.");
  for (const auto& [number, file] : shards) files.push_back(file);
  return files;
}

Result<std::map<std::string, std::string>> readShardIndex(const std::filesystem::path& file) {
  KVISTA_ASSIGN(nlohmann::json index, readJsonFile(file, kMaximumIndexBytes));
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
  for (auto& [tensor, value] : map->get_ref<nlohmann::json::object_t&>()) {
    if (!value.is_string())
      return corrupt(
          fmt::format("gives {} instead of a file name for tensor {}", kindOf(value), quoteForMessage(tensor)));
    auto& shard = value.get_ref<std::string&>();
    if (const std::string_view problem = problemOf(shard); !problem.empty())
      return corrupt(fmt::format("gives the file name {} for tensor {}, which {}", quoteForMessage(shard),
                                 quoteForMessage(tensor), problem));
    shardOf.emplace_hint(shardOf.end(), tensor, std::move(shard));  // in order already
  }
  return shardOf;
}

}  // namespace kvista
