// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "core/base/error.h"

namespace kvista {

/// Of the user that the process runs for; "/" where the environment names none.
std::filesystem::path homeFolder();
/// Where an engine keeps what has no place of its own: $XDG_DATA_HOME/kvista, or ~/.local/share/kvista. It need not be
/// there yet.
std::filesystem::path dataFolder();
/// Makes the folder that `file` is to lie in where that is within the data folder; elsewhere folders are the person's
/// to make.
Result<void> makeDataFolderFor(const std::filesystem::path& file);

}  // namespace kvista
