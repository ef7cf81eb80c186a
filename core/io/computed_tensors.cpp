// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/computed_tensors.h"

#include <utility>

namespace kvista {

void ComputedTensors::set(TensorInfo tensor, Read read) {
  const std::string name = tensor.name;
  tensors_[name] = std::move(tensor);
  computed_[name] = std::move(read);
}

void ComputedTensors::hide(const std::string& name) {
  tensors_.erase(name);
  computed_.erase(name);
}

std::span<const std::byte> ComputedTensors::raw(const TensorInfo& tensor) const {
  return !tensors_.contains(tensor.name) || computed_.contains(tensor.name) ? std::span<const std::byte>{} : source_->raw(tensor);
}

Result<void> ComputedTensors::readFloat32(const TensorInfo& tensor, std::span<float> out) const {
  KVISTA_ASSIGN(const TensorInfo* const stored, tensorToRead(*this, tensor, out));
  const auto computed = computed_.find(stored->name);
  return computed == computed_.end() ? source_->readFloat32(*stored, out) : computed->second(out);
}

}  // namespace kvista
