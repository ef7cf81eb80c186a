// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// examinePath: what is at a path of this machine, for a window elsewhere that cannot look itself.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "core/engine/data_folder.h"
#include "core/engine/method.h"
#include "core/protocol/fields.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

enum class Purpose { read, write };
constexpr std::array kPurposes = {Named{"read", Purpose::read}, Named{"write", Purpose::write}};

/// Absolute; "~" is the engine's home.
fs::path placeOf(const std::string& path) {
  fs::path place = path;
  if (path == "~") place = homeFolder();
  if (path.starts_with("~/")) place = homeFolder() / path.substr(2);
  std::error_code error;
  const fs::path absolute = fs::absolute(place, error);
  return (error ? place : absolute).lexically_normal();
}

/// The nearest folder above that is there.
fs::path standing(fs::path place) {
  std::error_code error;
  while (place.has_parent_path() && place != place.root_path() && !fs::exists(place, error))
    place = place.parent_path();
  return place;
}

void explain(PathRecord& record, Purpose purpose) {
  const auto say = [&](std::string problem, std::string hint) {
    record.problem = std::move(problem);
    record.hint = std::move(hint);
  };
  if (purpose == Purpose::read) {
    if (record.kind == PathRecord::Kind::missing)
      say(fmt::format("{} does not exist on the engine's machine.", record.path),
          fmt::format("There is {}.", standing(record.path).string()));
    else if (!record.readable)
      say(fmt::format("{} may not be read by the engine's user.", record.path),
          "Give it the right to read, or another path.");
    return;
  }
  if (record.kind == PathRecord::Kind::file)
    say(fmt::format("{} is a file; an export is a folder.", record.path), "Name a folder that is not there yet.");
  else if (!record.writable)
    say(fmt::format("{} may not be written by the engine's user.", standing(record.path).string()),
        "Name a folder in another place.");
}

}  // namespace

Result<nlohmann::json> examinePath(Call& call) {
  Fields fields(call.params, "the parameters of examinePath");
  const std::string path = fields.text("path");
  const Purpose purpose = fields.has("purpose") ? fields.choice("purpose", kPurposes) : Purpose::read;
  if (fields.error()) return tl::unexpected(*fields.error());
  if (path.empty() || path.find('\0') != std::string::npos)
    return fail(ErrorCode::invalidArgument, "The path is empty or holds a zero byte.",
                "Type the path of a folder or file of the engine's machine.");
  PathRecord record;
  const fs::path place = placeOf(path);
  record.path = place.string();
  std::error_code error;
  const fs::file_status status = fs::status(place, error);
  if (fs::is_directory(status))
    record.kind = PathRecord::Kind::folder;
  else if (fs::exists(status))
    record.kind = PathRecord::Kind::file;
  const fs::path there = standing(place);
  record.readable = record.kind != PathRecord::Kind::missing &&
                    access(place.c_str(), R_OK | (fs::is_directory(status) ? X_OK : 0)) == 0;
  record.writable = access(there.c_str(), W_OK) == 0;
  if (record.kind == PathRecord::Kind::file) {
    const auto bytes = fs::file_size(place, error);
    if (!error) record.bytes = static_cast<std::int64_t>(bytes);
  }
  const fs::space_info space = fs::space(there, error);
  if (!error)
    record.freeBytes = static_cast<std::int64_t>(
        std::min<std::uintmax_t>(space.available, static_cast<std::uintmax_t>(kLargestInteger)));
  explain(record, purpose);
  return toJson(record);
}

}  // namespace kvista
