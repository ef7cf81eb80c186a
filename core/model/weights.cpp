// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/weights.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <bit>
#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "core/io/checkpoint.h"
#include "core/model/parallel.h"
#include "core/model/torch_guard.h"

namespace kvista {

namespace {

constexpr const char* kDamagedHint = "Download the checkpoint again, or train it again.";

/// The type that a file's raw bytes can be viewed as, if any.
std::optional<at::ScalarType> viewType(DataType type) {
  switch (type) {
    case DataType::f32:
      return at::kFloat;
    case DataType::f16:
      return at::kHalf;
    case DataType::bf16:
      return at::kBFloat16;
    default:
      return std::nullopt;
  }
}

/// Index of the first number whose exponent bits are all ones, which is infinity or NaN.
template <class Bits>
std::optional<std::int64_t> firstNonFinite(const void* data, std::int64_t count, Bits exponent) {
  const auto* bits = static_cast<const Bits*>(data);
  constexpr std::int64_t kBlock = 4096, kBlocksOfThread = 256;
  std::atomic<std::int64_t> first = count;
  parallelFor((count + kBlock - 1) / kBlock, kBlocksOfThread, [&](std::int64_t firstBlock, std::int64_t lastBlock) {
    for (std::int64_t begin = firstBlock * kBlock; begin < std::min(count, lastBlock * kBlock); begin += kBlock) {
      const std::int64_t end = std::min(count, begin + kBlock);
      Bits found = 0;  // without a branch, so that the compiler vectorises it
      for (std::int64_t i = begin; i < end; ++i) found |= static_cast<Bits>((bits[i] & exponent) == exponent);
      if (found == 0) continue;
      std::int64_t place = begin;
      while ((bits[place] & exponent) != exponent) ++place;
      std::int64_t before = first;
      while (place < before && !first.compare_exchange_weak(before, place)) {
      }
      return;
    }
  });
  return first < count ? std::optional(first.load()) : std::nullopt;
}

std::optional<std::int64_t> firstNonFinite(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kHalf:
      return firstNonFinite<std::uint16_t>(tensor.const_data_ptr(), tensor.numel(), 0x7C00);
    case at::kBFloat16:
      return firstNonFinite<std::uint16_t>(tensor.const_data_ptr(), tensor.numel(), 0x7F80);
    default:
      return firstNonFinite<std::uint32_t>(tensor.const_data_ptr(), tensor.numel(), 0x7F800000);
  }
}

/// "tensor x [4, 8] of file holds -inf at [2, 3]", or nothing.
std::optional<std::string> nonFiniteSentence(const TensorInfo& info, const at::Tensor& tensor) {
  const auto position = firstNonFinite(tensor);
  if (!position) return std::nullopt;
  std::string index;
  std::int64_t rest = *position;
  for (std::size_t axis = info.shape.size(); axis-- > 0;) {
    index = fmt::format("{}{}{}", rest % info.shape[axis], index.empty() ? "" : ", ", index);
    rest /= info.shape[axis];
  }
  const double value = tensor.view({-1})[*position].item<double>();
  return fmt::format("{}: tensor {} holds {} at [{}].", info.file.string(), info.name, value, index);
}

class WeightLoader {
 public:
  WeightLoader(const Checkpoint& checkpoint, at::Device device, at::ScalarType dtype, bool streamed)
      : store_(*checkpoint.tensors), device_(device), dtype_(dtype), streamed_(streamed) {}

  /// Reads `name` into `to`; a tensor named twice (a tied head) is loaded once.
  Result<void> load(const std::string& name, at::Tensor& to) {
    if (name.empty()) return {};
    if (const auto loaded = loaded_.find(name); loaded != loaded_.end()) {
      to = loaded->second;
      return {};
    }
    const TensorInfo& info = store_.tensors().find(name)->second;  // describe() has seen it
    KVISTA_ASSIGN(const at::Tensor tensor, readTensor(store_, info));
    if (auto sentence = nonFiniteSentence(info, tensor)) {
      return fail(ErrorCode::numerical, std::move(*sentence), kDamagedHint);
    }
    to = tensor.to(device_, dtype_);
    loaded_.emplace(name, to);
    return {};
  }
  Result<void> load(const LinearDescription& linear, LinearWeights& to) {
    KVISTA_CHECK(load(linear.weight, to.weight));
    return load(linear.bias, to.bias);
  }
  Result<void> load(const LayerDescription& layer, LayerWeights& to) {
    const AttentionDescription& attention = layer.attention;
    KVISTA_CHECK(load(layer.attentionNorm.weight, to.attentionNorm));
    if (attention.queryNorm) KVISTA_CHECK(load(attention.queryNorm->weight, to.queryNorm));
    if (attention.keyNorm) KVISTA_CHECK(load(attention.keyNorm->weight, to.keyNorm));
    KVISTA_CHECK(load(layer.mlpNorm.weight, to.mlpNorm));
    const auto from = projectionsOf(layer);
    const auto projections = projectionsOf(to);
    for (std::size_t i = 0; i < projections.size(); ++i)
      KVISTA_CHECK(streamed_ ? load(from[i]->bias, projections[i]->bias) : load(*from[i], *projections[i]));
    return {};
  }

 private:
  const TensorStore& store_;
  at::Device device_;
  at::ScalarType dtype_;
  bool streamed_;
  std::map<std::string, at::Tensor> loaded_;
};

}  // namespace

Result<at::Tensor> readTensor(const TensorStore& store, const TensorInfo& info) {
  if (const auto type = viewType(info.type)) {
    const std::span<const std::byte> bytes = store.raw(info);
    const bool isAligned = std::bit_cast<std::uintptr_t>(bytes.data()) % c10::elementSize(*type) == 0;
    if (!bytes.empty() && isAligned) {
      // libtorch has no read-only tensors; nothing ever writes to a weight.
      return at::from_blob(const_cast<std::byte*>(bytes.data()), info.shape, at::TensorOptions(*type));
    }
  }
  at::Tensor copy = at::empty(info.shape, at::TensorOptions(at::kFloat));
  KVISTA_CHECK(
      store.readFloat32(info, std::span(copy.mutable_data_ptr<float>(), static_cast<std::size_t>(copy.numel()))));
  return copy;
}

std::array<LinearWeights*, 7> projectionsOf(LayerWeights& layer) {
  return {&layer.query, &layer.key, &layer.value, &layer.output, &layer.gate, &layer.up, &layer.down};
}

std::array<const LinearDescription*, 7> projectionsOf(const LayerDescription& layer) {
  const AttentionDescription& attention = layer.attention;
  return {&attention.query, &attention.key, &attention.value, &attention.output, &layer.mlp.gate, &layer.mlp.up, &layer.mlp.down};
}

Result<at::Tensor> readMatrix(const DecoderWeights& weights, int layer, const std::string& name) {
  const TensorInfo& info = weights.store->tensors().find(name)->second;  // describe() has seen it
  KVISTA_ASSIGN(at::Tensor matrix, readTensor(*weights.store, info));
  if (weights.layersKnown->at(static_cast<std::size_t>(layer))) return matrix;
  if (auto sentence = nonFiniteSentence(info, matrix)) return fail(ErrorCode::numerical, std::move(*sentence), kDamagedHint);
  return matrix;
}

Result<DecoderWeights> loadWeights(const Checkpoint& checkpoint, const DecoderDescription& description,
                                   at::Device device, at::ScalarType dtype, bool streamed, const Task& task) {
  return guardTorch("Loading the weights", [&]() -> Result<DecoderWeights> {
    WeightLoader loader(checkpoint, device, dtype, streamed);
    DecoderWeights weights;
    weights.store = checkpoint.tensors;
    weights.layersKnown = std::make_shared<std::vector<std::atomic<bool>>>(description.layers.size());
    KVISTA_CHECK(loader.load(description.embedding, weights.embedding));
    weights.layers.resize(description.layers.size());
    for (std::size_t layer = 0; layer < description.layers.size(); ++layer) {
      KVISTA_CHECK(task.checkStop());
      task.progress("load", layer, description.layers.size(), "layers");
      KVISTA_CHECK(loader.load(description.layers[layer], weights.layers[layer]));
    }
    KVISTA_CHECK(loader.load(description.finalNorm.weight, weights.finalNorm));
    KVISTA_CHECK(loader.load(description.head, weights.head));
    return weights;
  });
}

Result<std::vector<std::string>> scanWeights(const Checkpoint& checkpoint, const DecoderDescription& description,
                                             const Task& task) {
  return guardTorch("Reading the weights", [&]() -> Result<std::vector<std::string>> {
    std::vector<std::string> sentences;
    const std::vector<RequiredTensor> required = requiredTensors(description);
    for (std::size_t index = 0; index < required.size(); ++index) {
      KVISTA_CHECK(task.checkStop());
      task.progress("scan", index, required.size(), "tensors");
      const TensorInfo& info = checkpoint.tensors->tensors().find(required[index].name)->second;
      KVISTA_ASSIGN(const at::Tensor tensor, readTensor(*checkpoint.tensors, info));
      if (auto sentence = nonFiniteSentence(info, tensor)) sentences.push_back(std::move(*sentence));
    }
    return sentences;
  });
}

}  // namespace kvista
