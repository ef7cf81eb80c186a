// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/temporary_paths.h"

#include <mutex>
#include <set>

namespace kvista {
namespace {

struct Registered {
  std::mutex mutex;
  std::set<std::filesystem::path> paths;
};

Registered& registered() {
  static Registered instance;
  return instance;
}

}  // namespace

void registerTemporaryPath(const std::filesystem::path& path) {
  const std::lock_guard lock(registered().mutex);
  registered().paths.insert(path);
}

void forgetTemporaryPath(const std::filesystem::path& path) {
  const std::lock_guard lock(registered().mutex);
  registered().paths.erase(path);
}

void removeTemporaryPaths() {
  const std::lock_guard lock(registered().mutex);
  for (const std::filesystem::path& path : registered().paths) {
    std::error_code ignored;  // the process is ending: there is nobody to tell
    std::filesystem::remove_all(path, ignored);
  }
  registered().paths.clear();
}

}  // namespace kvista
