// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/sharing_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/io/atomic_file.h"
#include "core/io/json_file.h"

namespace kvista {

Result<SharingMap> readSharingMap(const std::filesystem::path& file) {
  KVISTA_ASSIGN(const nlohmann::json json, readJsonFile(file));
  const auto found = json.is_object() ? json.find("sharedFrom") : json.end();
  const bool sound = json.is_object() && found != json.end() && found->is_array() && !found->empty() &&
                     std::ranges::all_of(*found, [](const nlohmann::json& layer) {
                       return layer.is_number_unsigned() && layer < 65536;
                     });
  if (!sound)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} has no list \"sharedFrom\" of layers, counted from 0.", file.string()),
                "Make one with `kvista sharing`.");
  SharingMap map{found->get<std::vector<int>>(), std::nullopt};
  if (const auto cosine = json.find("cosine"); cosine != json.end() && cosine->is_number())
    map.cosine = cosine->get<double>();
  return map;
}

Result<void> writeSharingMap(const std::filesystem::path& file, const SharingMap& map) {
  nlohmann::json json = {{"sharedFrom", map.sharedFrom}};
  if (map.cosine) json["cosine"] = *map.cosine;
  return writeFileAtomically(file, json.dump(1) + "\n");
}

}  // namespace kvista
