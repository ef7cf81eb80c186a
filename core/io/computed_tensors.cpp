// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/computed_tensors.h"

#include <utility>

namespace kvista {

void ComputedTensors::set(TensorInfo tensor, Read read) {
  computed_[tensor.name] = {tensor.count(),
                            [read = std::move(read)](std::uint64_t, std::span<float> out) { return read(out); }};
  tensors_[tensor.name] = std::move(tensor);
}

void ComputedTensors::setStack(TensorInfo tensor, ReadMatrix read) {
  const std::size_t axes = tensor.shape.size();
  computed_[tensor.name] = {static_cast<std::uint64_t>(tensor.shape[axes - 2] * tensor.shape[axes - 1]),
                            std::move(read)};
  tensors_[tensor.name] = std::move(tensor);
}

void ComputedTensors::hide(const std::string& name) {
  tensors_.erase(name);
  computed_.erase(name);
}

std::span<const std::byte> ComputedTensors::raw(const TensorInfo& tensor) const {
  return !tensors_.contains(tensor.name) || computed_.contains(tensor.name) ? std::span<const std::byte>{}
                                                                            : source_->raw(tensor);
}

Result<void> ComputedTensors::readFloat32(const TensorInfo& tensor, std::span<float> out) const {
  KVISTA_ASSIGN(const TensorInfo* const stored, tensorToRead(*this, tensor, out));
  const auto computed = computed_.find(stored->name);
  return computed == computed_.end() ? source_->readFloat32(*stored, out) : readMatrices(computed->second, 0, out);
}

Result<void> ComputedTensors::readFloat32Part(const TensorInfo& tensor, std::uint64_t first,
                                              std::span<float> out) const {
  const auto computed = computed_.find(tensor.name);
  if (computed == computed_.end()) return source_->readFloat32Part(tensor, first, out);
  const std::uint64_t size = computed->second.size;
  const bool areMatrices =
      size > 0 && first % size == 0 && out.size() % size == 0 && first + out.size() <= tensor.count();
  return areMatrices ? readMatrices(computed->second, first, out) : TensorStore::readFloat32Part(tensor, first, out);
}

Result<void> ComputedTensors::readMatrices(const Computed& computed, std::uint64_t first, std::span<float> out) {
  for (std::uint64_t at = 0; at < out.size(); at += computed.size)
    KVISTA_CHECK(computed.read((first + at) / computed.size, out.subspan(at, computed.size)));
  return {};
}

}  // namespace kvista
