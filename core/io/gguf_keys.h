// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/io/gguf_file.h"

namespace kvista {

/// Metadata of one architecture ("llama.block_count"), and whether tensors are there. `file` must outlive it.
class GgufKeys {
 public:
  GgufKeys(const GgufFile& file, std::string_view architecture) : file_(&file), architecture_(architecture) {}

  [[nodiscard]] const GgufFile& file() const { return *file_; }
  [[nodiscard]] std::string key(std::string_view name) const;
  /// A tensor of the first layer: "attn_q.bias".
  [[nodiscard]] bool hasLayerTensor(std::string_view name) const;

  [[nodiscard]] Result<std::optional<double>> real(std::string_view name) const { return file_->real(key(name)); }
  [[nodiscard]] Result<std::optional<bool>> boolean(std::string_view name) const { return file_->boolean(key(name)); }
  [[nodiscard]] Result<std::optional<std::string_view>> text(std::string_view name) const {
    return file_->text(key(name));
  }
  /// An integer, or an array that says the same integer for every layer.
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view name) const;
  /// The same, there and above zero.
  [[nodiscard]] Result<std::int64_t> required(std::string_view name) const;
  [[nodiscard]] Result<double> requiredReal(std::string_view name) const;

 private:
  const GgufFile* file_;
  std::string_view architecture_;
};

}  // namespace kvista
