// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// What the header of a .safetensors file says, checked: the tensors fill the bytes after it exactly.
struct SafetensorsHeader {
  struct Tensor {
    TensorInfo info;
    std::uint64_t begin = 0;  ///< In bytes from the end of the header.
    std::uint64_t end = 0;
  };

  std::map<std::string, std::string> metadata;
  std::vector<Tensor> tensors;  ///< In the order in which they lie in the file.
  std::uint64_t dataBegin = 0;  ///< In bytes from the start of the file.
};

/// Reads the header of a whole file's `bytes`; `file` is for messages. Refuses what the official parser refuses: a
/// header over 100 MB, overlap, gap, rest, keys that occur twice, overflow, metadata that are not strings. Errors:
/// corruptFile, unsupportedModel (a type that is not known here), naming file, tensor and field.
Result<SafetensorsHeader> readSafetensorsHeader(std::span<const std::byte> bytes, const std::filesystem::path& file);

}  // namespace kvista
