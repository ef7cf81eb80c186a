// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "core/base/error.h"

namespace kvista {

struct ZipEntry {
  std::span<const std::byte> bytes;  ///< As they lie in the archive.
  bool isStored = false;             ///< Neither compressed nor encrypted: the bytes are the file itself.
};

/// Where the files of a zip archive (zip64 too) lie in its `bytes`, by name. Reads the directory at the archive's end
/// and checks every offset and length. Errors (corruptFile) are sentences about "it".
Result<std::map<std::string, ZipEntry, std::less<>>> readZipDirectory(std::span<const std::byte> bytes);

}  // namespace kvista
