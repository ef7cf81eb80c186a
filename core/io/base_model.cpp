// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "core/io/adapter.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

fs::path environmentPath(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? fs::path() : fs::path(value);
}

/// As huggingface_hub looks for it.
fs::path hubCache() {
  if (const fs::path cache = environmentPath("HF_HUB_CACHE"); !cache.empty()) return cache;
  if (const fs::path home = environmentPath("HF_HOME"); !home.empty()) return home / "hub";
  if (const fs::path caches = environmentPath("XDG_CACHE_HOME"); !caches.empty()) return caches / "huggingface/hub";
  const fs::path home = environmentPath("HOME");
  return home.empty() ? fs::path() : home / ".cache/huggingface/hub";
}

/// A part of a name on the hub, or a revision: it cannot lead anywhere else.
bool isPlain(std::string_view part) {
  return !part.empty() && part.front() != '.' && part.find("..") == part.npos &&
         std::ranges::all_of(part, [](unsigned char letter) {
           return std::isalnum(letter) != 0 || letter == '-' || letter == '_' || letter == '.';
         });
}

/// The snapshot of a model in the cache, if it is there.
std::optional<fs::path> cachedSnapshot(const std::string& name, const std::string& revision) {
  const std::size_t slash = name.find('/');
  const fs::path cache = hubCache();
  if (cache.empty() || slash == name.npos || !isPlain(std::string_view(name).substr(0, slash)) ||
      !isPlain(std::string_view(name).substr(slash + 1)) || !isPlain(revision))
    return std::nullopt;
  const fs::path model = cache / fmt::format("models--{}--{}", name.substr(0, slash), name.substr(slash + 1));
  std::string commit;  // A revision's name stands for the commit in its file; a commit for itself.
  std::ifstream(model / "refs" / revision) >> commit;
  const fs::path snapshot = model / "snapshots" / (isPlain(commit) ? commit : revision);
  std::error_code ignored;
  return fs::is_directory(snapshot, ignored) ? std::optional(snapshot) : std::nullopt;
}

}  // namespace

Result<fs::path> findBaseModel(const fs::path& folder, const std::string& name, const std::string& revision) {
  if (name.empty() || name.find('\0') != name.npos)
    return fail(
        ErrorCode::corruptFile,
        fmt::format("{} does not name the model that the adapter belongs to.", (folder / kAdapterConfigName).string()),
        "Write the model's folder as base_model_name_or_path into it.");
  std::error_code ignored;
  const fs::path own = fs::weakly_canonical(folder, ignored);
  const fs::path beside = own.parent_path() / fs::path(name).lexically_normal().filename();
  for (const fs::path& place : {fs::path(name), own / name, beside})
    if (fs::exists(place, ignored) && !fs::equivalent(place, own, ignored)) return place;
  if (const auto snapshot = cachedSnapshot(name, revision)) return *snapshot;
  return fail(
      ErrorCode::io,
      fmt::format("{} is an adapter of the model {}, which is not on this machine: neither there, nor in the adapter's "
                  "folder, nor beside it, nor in the hub's cache.",
                  folder.string(), quoteForMessage(name)),
      fmt::format(
          "Put the model's folder or a link to it at {}, or write its place as base_model_name_or_path into {}.",
          beside.string(), kAdapterConfigName));
}

}  // namespace kvista
