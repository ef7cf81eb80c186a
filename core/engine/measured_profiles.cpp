// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/measured_profiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/engine/data_folder.h"
#include "core/io/atomic_file.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = 1 << 16, kLongestName = 128;

fs::path folder() { return dataFolder() / "devices"; }

/// A name as that of a file.
std::string fileNameOf(const std::string& name) {
  std::string file;
  for (const char letter : name) {
    const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
    file += plain ? letter : letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : '-';
  }
  return file + ".json";
}

Result<DeviceProfile> readProfile(const fs::path& file) {
  const auto wrong = [&](std::string_view what) {
    return fail(ErrorCode::corruptFile, fmt::format("{} {}.", file.string(), what),
                "Run `kvista bench decode --device cuda` again, or delete the file.");
  };
  KVISTA_ASSIGN(const nlohmann::json json, readJsonFile(file, kMostBytes));
  if (!json.is_object()) return wrong("does not hold a device's profile");
  DeviceProfile profile;
  const auto name = json.find("name");
  if (name == json.end() || !name->is_string() || name->get_ref<const std::string&>().empty() ||
      name->get_ref<const std::string&>().size() > kLongestName)
    return wrong("has no name of a device");
  profile.name = name->get<std::string>();
  for (const auto& [field, value] : {std::pair{"bytesPerSecond", &profile.bytesPerSecond},
                                     {"flopsPerSecond", &profile.flopsPerSecond},
                                     {"launchSeconds", &profile.launchSeconds}}) {
    const auto found = json.find(field);
    if (found == json.end() || !found->is_number()) return wrong(fmt::format("lacks the number {}", field));
    *value = found->get<double>();
    const bool mayBeZero = value == &profile.launchSeconds;
    if (!std::isfinite(*value) || *value < 0 || (*value == 0 && !mayBeZero))
      return wrong(fmt::format("says {} {}, which no device does", field, *value));
  }
  return profile;
}

}  // namespace

MeasuredProfiles readMeasuredProfiles() {
  MeasuredProfiles result;
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder(), error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".json") files.emplace_back(entry->last_write_time(error), entry->path());
  std::ranges::sort(files, std::greater<>());
  for (const auto& [time, file] : files) {
    auto profile = readProfile(file);
    if (profile)
      result.profiles.push_back(std::move(*profile));
    else
      result.problems.push_back(fmt::format("{} {}", profile.error().message, profile.error().hint));
  }
  return result;
}

Result<fs::path> saveMeasuredProfile(const DeviceProfile& profile) {
  const fs::path file = folder() / fileNameOf(profile.name);
  KVISTA_CHECK(makeDataFolderFor(file));
  const nlohmann::ordered_json json = {{"name", profile.name},
                                       {"bytesPerSecond", profile.bytesPerSecond},
                                       {"flopsPerSecond", profile.flopsPerSecond},
                                       {"launchSeconds", profile.launchSeconds}};
  KVISTA_CHECK(
      writeFileAtomically(file, json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n"));
  return file;
}

}  // namespace kvista
