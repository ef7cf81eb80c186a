// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/io/tensor_store.h"

namespace kvista {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Writes tensors (float64, float32, bfloat16, float16, int32, int64, bytes; any device) as one .safetensors file,
/// atomically. `texts` become byte tensors beside them.
Result<void> writeTensorFile(const std::filesystem::path& file, const NamedTensors& tensors,
                             const std::map<std::string, std::string>& texts, const Task& task);

/// A .safetensors file of ours, read with every type and shape checked, so that no later arithmetic meets a surprise.
class TensorFile {
 public:
  static Result<TensorFile> open(const std::filesystem::path& file);
  /// Those tensors of an opened checkpoint whose names begin with `prefix`, under the rest of their names.
  static TensorFile within(const std::filesystem::path& path, std::shared_ptr<const TensorStore> store,
                           std::string prefix);

  /// Empty where the file has no such text.
  [[nodiscard]] std::string text(const std::string& name) const;
  /// A copy of the tensor on the CPU. `shape`: expected sizes, -1 for any. Errors (corruptFile) name file and tensor.
  [[nodiscard]] Result<at::Tensor> read(const std::string& name, at::ScalarType type,
                                        const std::vector<std::int64_t>& shape) const;

 private:
  TensorFile(std::filesystem::path path, std::shared_ptr<const TensorStore> store, std::string prefix)
      : path_(std::move(path)), store_(std::move(store)), prefix_(std::move(prefix)) {}
  std::filesystem::path path_;
  std::shared_ptr<const TensorStore> store_;
  std::string prefix_;
};

}  // namespace kvista
