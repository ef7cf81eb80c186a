// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/mapped_file.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// One mapped .safetensors file. Its header is read and checked (readSafetensorsHeader), nothing else is touched.
class SafetensorsFile {
 public:
  /// Errors: io, corruptFile, unsupportedModel (a type that is not known here), naming file, tensor and field.
  static Result<std::shared_ptr<const SafetensorsFile>> open(const std::filesystem::path& file);

  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const { return tensors_; }
  /// The bytes of a tensor of any type, as they lie in the file, not necessarily aligned; valid while the file lives.
  /// Empty for a tensor of another file.
  [[nodiscard]] std::span<const std::byte> bytes(const TensorInfo& tensor) const;

 private:
  explicit SafetensorsFile(MappedFile file) : file_(std::move(file)) {}
  MappedFile file_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, std::span<const std::byte>, std::less<>> bytes_;
};

/// Several .safetensors files, the shards of one checkpoint, as one store. `raw` answers the bytes of any type.
/// Errors: as SafetensorsFile::open; corruptFile for a tensor that is in two files.
Result<std::shared_ptr<const TensorStore>> openSafetensors(const std::vector<std::filesystem::path>& files);

}  // namespace kvista
