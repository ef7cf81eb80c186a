// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/model/decoder.h"

namespace kvista::test {

/// The value of a Result; a test failure naming the error otherwise.
template <class T>
T valueOf(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message + " " + result.error().detail);
  return *std::move(result);
}

/// Tensors in memory that look like a checkpoint's.
class MemoryStore : public TensorStore {
 public:
  void set(const std::string& name, const at::Tensor& tensor);
  [[nodiscard]] const at::Tensor& at(const std::string& name) const { return values_.at(name); }
  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return infos_; }
  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override;
  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override;

 private:
  std::map<std::string, at::Tensor> values_;
  std::map<std::string, TensorInfo, std::less<>> infos_;
};

/// A Llama configuration with 2 layers, 4 query and 2 kv heads of 6, hidden size 20, vocabulary 29.
nlohmann::json tinyConfig();

/// A checkpoint with random weights (the same for the same seed) for any configuration of a supported family. Larger
/// `spread` makes attention less uniform.
Checkpoint randomCheckpoint(const nlohmann::json& config, int seed = 1, double spread = 0.3);
MemoryStore& storeOf(const Checkpoint& checkpoint);

std::shared_ptr<const Decoder> load(const Checkpoint& checkpoint, const ComputeOptions& options = {});

/// `windows` x `tokens` ids below `vocabulary`, the same for the same arguments.
at::Tensor someIds(std::int64_t windows, std::int64_t tokens, std::int64_t vocabulary);

/// Every tensor of a .safetensors file; int64 ones stay so, others become float32.
std::map<std::string, at::Tensor> readTensors(const std::filesystem::path& file);

double maximumDifference(const at::Tensor& a, const at::Tensor& b);
/// |a - b| / |b|, Frobenius.
double relativeDifference(const at::Tensor& a, const at::Tensor& b);

}  // namespace kvista::test
