// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/data_folder.h"

#include <fmt/format.h>

#include <cstdlib>

namespace kvista {

namespace fs = std::filesystem;

fs::path homeFolder() {
  const char* home = std::getenv("HOME");
  return home && *home == '/' ? fs::path(home) : fs::path("/");
}

fs::path dataFolder() {
  const char* data = std::getenv("XDG_DATA_HOME");  // Counts only where it is absolute, says the standard.
  return (data && *data == '/' ? fs::path(data) : homeFolder() / ".local/share") / "kvista";
}

Result<void> makeDataFolderFor(const fs::path& file) {
  const fs::path folder = fs::absolute(file).lexically_normal().parent_path();
  const fs::path within = folder.lexically_relative(dataFolder().lexically_normal());
  if (within.empty() || *within.begin() == "..") return {};
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    return fail(ErrorCode::io, fmt::format("The folder {} cannot be made: {}.", folder.string(), error.message()),
                "Save the project first, beside which it then goes.");
  return {};
}

}  // namespace kvista
