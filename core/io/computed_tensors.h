// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// A store upon a store: some tensors are computed from others when they are read, some are out of sight, the rest are as they are.
class ComputedTensors final : public TensorStore {
 public:
  /// Fills `out`, which has the tensor's number of places.
  using Read = std::function<Result<void>(std::span<float> out)>;

  explicit ComputedTensors(std::shared_ptr<const TensorStore> source) : source_(std::move(source)), tensors_(source_->tensors()) {}

  /// In place of what has this name in the source, if anything does.
  void set(TensorInfo tensor, Read read);
  void hide(const std::string& name);

  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return tensors_; }
  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override;
  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override;

 private:
  std::shared_ptr<const TensorStore> source_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, Read, std::less<>> computed_;
};

}  // namespace kvista
