// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "test_models.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <random>

#include "core/io/safetensors_reader.h"

namespace kvista::test {

void MemoryStore::set(const std::string& name, const at::Tensor& tensor) {
  values_[name] = tensor.to(at::kFloat).contiguous();
  infos_[name] = {name, tensor.sizes().vec(), DataType::f32, "memory"};
}

std::span<const std::byte> MemoryStore::raw(const TensorInfo& tensor) const {
  const at::Tensor& value = values_.at(tensor.name);
  return {static_cast<const std::byte*>(value.const_data_ptr()), value.nbytes()};
}

Result<void> MemoryStore::readFloat32(const TensorInfo& tensor, std::span<float> out) const {
  const at::Tensor& value = values_.at(tensor.name);
  std::copy_n(value.const_data_ptr<float>(), out.size(), out.begin());
  return {};
}

nlohmann::json tinyConfig() {
  return {{"model_type", "llama"},
          {"hidden_size", 20},
          {"intermediate_size", 26},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"head_dim", 6},
          {"vocab_size", 29},
          {"max_position_embeddings", 64},
          {"tie_word_embeddings", false}};
}

Checkpoint randomCheckpoint(const nlohmann::json& config, int seed, double spread) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, 1);
  auto store = std::make_shared<MemoryStore>();
  Checkpoint checkpoint;
  checkpoint.path = "memory";
  checkpoint.config = config;
  checkpoint.tensors = store;
  for (const RequiredTensor& required : storedTensors(valueOf(describeConfig(config, "config.json of memory")))) {
    at::Tensor tensor = at::empty(required.shape, at::TensorOptions(at::kFloat));
    const bool isNorm = required.shape.size() == 1 && required.name.ends_with(".weight");
    auto* values = tensor.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      values[i] = isNorm ? 1 + 0.2f * normal(generator) : static_cast<float>(spread) * normal(generator);
    }
    store->set(required.name, tensor);
  }
  return checkpoint;
}

MemoryStore& storeOf(const Checkpoint& checkpoint) {
  return const_cast<MemoryStore&>(dynamic_cast<const MemoryStore&>(*checkpoint.tensors));
}

std::shared_ptr<const Decoder> load(const Checkpoint& checkpoint, const ComputeOptions& options) {
  return valueOf(Decoder::load(checkpoint, options, {}));
}

at::Tensor someIds(std::int64_t windows, std::int64_t tokens, std::int64_t vocabulary) {
  std::mt19937 generator(7);
  at::Tensor ids = at::empty({windows, tokens}, at::TensorOptions(at::kLong));
  auto* values = ids.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < ids.numel(); ++i) values[i] = static_cast<std::int64_t>(generator() % vocabulary);
  return ids;
}

std::map<std::string, at::Tensor> readTensors(const std::filesystem::path& file) {
  const auto store = valueOf(openSafetensors({file}));
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, info] : store->tensors()) {
    const bool isInteger = info.type == DataType::i64;
    at::Tensor tensor = at::empty(info.shape, at::TensorOptions(isInteger ? at::kLong : at::kFloat));
    if (isInteger) {
      const auto bytes = store->raw(info);
      std::copy(bytes.begin(), bytes.end(), static_cast<std::byte*>(tensor.mutable_data_ptr()));
    } else {
      const std::span out(tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel()));
      if (auto read = store->readFloat32(info, out); !read) throw std::runtime_error(read.error().message);
    }
    tensors[name] = tensor;
  }
  return tensors;
}

double maximumDifference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) throw std::runtime_error("shapes differ");
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

double relativeDifference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) throw std::runtime_error("shapes differ");
  const at::Tensor reference = b.to(at::kDouble);
  return ((a.to(at::kDouble) - reference).norm() / reference.norm()).item<double>();
}

}  // namespace kvista::test
