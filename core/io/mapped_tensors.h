// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// Tensors that lie in mapped files, in one piece or by strides. `raw` answers the bytes of any type that lie in
/// row-major order.
class MappedTensors final : public TensorStore {
 public:
  /// Keeps what the bytes of tensors belong to.
  void keep(std::shared_ptr<const void> file) { files_.push_back(std::move(file)); }
  /// `bytes` begin with the tensor's first number. Numbers lie `strides` numbers apart along each axis (checked by the
  /// caller to stay within `bytes`), or in row-major order where `strides` is empty. Errors: corruptFile for a name
  /// that is there already.
  Result<void> add(TensorInfo tensor, std::span<const std::byte> bytes, std::vector<std::int64_t> strides = {});

  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return tensors_; }
  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override;
  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override;

 private:
  struct Place {
    std::span<const std::byte> bytes;
    std::vector<std::int64_t> strides;
  };
  std::vector<std::shared_ptr<const void>> files_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::unordered_map<std::string, Place> places_;
};

}  // namespace kvista
