// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace kvista {

/// Files and folders that exist only until they are renamed, known to the whole process, so that a program that must
/// end at once can remove them.
void registerTemporaryPath(const std::filesystem::path& path);
void forgetTemporaryPath(const std::filesystem::path& path);
/// Removes what is registered; what cannot be removed is left.
void removeTemporaryPaths();

}  // namespace kvista
