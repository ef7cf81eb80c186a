// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/io/safetensors_writer.h"

namespace kvista {

/// Metadata of a GGUF file that is to be written, in its order. Integers are written as u32 and i32, numbers as f32,
/// which is what readers of these keys ask for.
class GgufMetadata {
 public:
  using Value = std::variant<bool, std::uint32_t, float, std::string, std::vector<std::string>, std::vector<float>,
                             std::vector<std::int32_t>>;
  struct Entry {
    std::string key;
    Value value;
  };

  /// `key` must be new.
  void set(std::string key, Value value) { entries_.push_back({std::move(key), std::move(value)}); }
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

/// What stands before the tensors' numbers in a GGUF file of version 3: header, metadata, table of tensors, and zeros
/// up to where the numbers begin. Tensors have GGUF's names and one to four dimensions, outermost first. Errors:
/// invalidArgument (a tensor that GGUF cannot hold, or that is not of f32, f16 or bf16).
Result<std::string> ggufBeginning(const GgufMetadata& metadata, const std::vector<TensorToWrite>& tensors);

/// Writes the file: tensors in the order given, under a temporary name, flushed, renamed. The same arguments give the
/// same bytes. Errors: invalidArgument, io, cancelled, what a tensor's `produce` answers; none of them leaves anything
/// behind.
Result<void> writeGguf(const std::filesystem::path& file, const GgufMetadata& metadata,
                       std::vector<TensorToWrite> tensors, const Task& task);

}  // namespace kvista
