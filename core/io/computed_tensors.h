// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// A store upon a store: some tensors are computed from others when they are read, some are out of sight, the rest are
/// as they are.
class ComputedTensors final : public TensorStore {
 public:
  /// Fills `out`, which has the tensor's number of places.
  using Read = std::function<Result<void>(std::span<float> out)>;
  /// Fills `out` with one matrix of a stack, whose last two lengths are a matrix's.
  using ReadMatrix = std::function<Result<void>(std::uint64_t matrix, std::span<float> out)>;

  explicit ComputedTensors(std::shared_ptr<const TensorStore> source)
      : source_(std::move(source)), tensors_(source_->tensors()) {}

  /// In place of what has this name in the source, if anything does.
  void set(TensorInfo tensor, Read read);
  /// A matrix or a stack of them, each of which can be read alone.
  void setStack(TensorInfo tensor, ReadMatrix read);
  void hide(const std::string& name);

  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return tensors_; }
  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override;
  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override;
  Result<void> readFloat32Part(const TensorInfo& tensor, std::uint64_t first, std::span<float> out) const override;

 private:
  struct Computed {
    std::uint64_t size = 0;  // numbers of what is read at a time
    ReadMatrix read;
  };
  static Result<void> readMatrices(const Computed& computed, std::uint64_t first, std::span<float> out);

  std::shared_ptr<const TensorStore> source_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, Computed, std::less<>> computed_;
};

}  // namespace kvista
