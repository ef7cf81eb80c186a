// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/weights.h"

#include <ATen/TensorOperators.h>
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
  WeightLoader(const TensorStore& store, at::Device device, at::ScalarType dtype, bool streamed)
      : store_(store), device_(device), dtype_(dtype), streamed_(streamed) {}

  /// Reads `name` into `to`; a tensor named twice (a tied head) is loaded once.
  Result<void> load(const std::string& name, at::Tensor& to) { return load(name, to, dtype_); }
  Result<void> load(const std::string& name, at::Tensor& to, at::ScalarType dtype) {
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
    to = tensor.to(device_, dtype);
    loaded_.emplace(name, to);
    return {};
  }
  Result<void> load(const LinearDescription& linear, LinearWeights& to) {
    KVISTA_CHECK(load(linear.weight, to.weight));
    return load(linear.bias, to.bias);
  }
  Result<void> load(const std::optional<LinearDescription>& linear, LinearWeights& to) {
    return linear ? load(*linear, to) : Result<void>();
  }
  Result<void> load(const NormDescription& norm, NormWeights& to) {
    KVISTA_CHECK(load(norm.weight, to.weight));
    if (norm.weightOffset != 0 && to.weight.defined()) to.weight = to.weight + norm.weightOffset;
    return load(norm.bias, to.bias);
  }
  Result<void> load(const std::optional<NormDescription>& norm, NormWeights& to) {
    return norm ? load(*norm, to) : Result<void>();
  }
  Result<void> load(const LayerDescription& layer, LayerWeights& to) {
    const std::vector<const NormDescription*> norms = normsOf(layer);
    const std::vector<NormWeights*> normWeights = normsOf(layer, to);
    for (std::size_t i = 0; i < norms.size(); ++i) KVISTA_CHECK(load(*norms[i], *normWeights[i]));
    KVISTA_CHECK(load(layer.attention.sinks, to.sinks));
    if (const auto& router = layer.feedForward.router)
      KVISTA_CHECK(load(router->correction, to.routerCorrection, at::kFloat));
    to.experts.resize(layer.feedForward.experts.size());
    const std::vector<const LinearDescription*> matrices = matricesOf(layer);
    const std::vector<LinearWeights*> weights = matricesOf(layer, to);
    for (std::size_t i = 0; i < matrices.size(); ++i)
      KVISTA_CHECK(streamed_ ? load(matrices[i]->bias, weights[i]->bias) : load(*matrices[i], *weights[i]));
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

namespace {

/// Calls `visit` for each pair of a matrix's description and the place of its weights.
template <class Visit>
void eachMatrix(const LayerDescription& layer, LayerWeights& weights, Visit&& visit) {
  const auto optionally = [&](const std::optional<LinearDescription>& linear, LinearWeights& to) {
    if (linear) visit(*linear, to);
  };
  const auto mlp = [&](const MlpDescription& description, MlpWeights& to) {
    optionally(description.gate, to.gate);
    visit(description.up, to.up);
    visit(description.down, to.down);
  };
  const AttentionDescription& attention = layer.attention;
  visit(attention.query, weights.query);
  visit(attention.key, weights.key);
  visit(attention.value, weights.value);
  visit(attention.output, weights.output);
  if (attention.latent) {
    visit(attention.latent->expansion, weights.expansion);
    optionally(attention.latent->queryReduction, weights.queryReduction);
  }
  const FeedForwardDescription& feedForward = layer.feedForward;
  if (feedForward.router) visit(feedForward.router->linear, weights.router);
  for (std::size_t i = 0; i < feedForward.experts.size(); ++i) mlp(feedForward.experts[i], weights.experts[i]);
  if (feedForward.shared) mlp(*feedForward.shared, weights.shared);
  optionally(feedForward.sharedGate, weights.sharedGate);
}

template <class Visit>
void eachNorm(const LayerDescription& layer, LayerWeights& weights, Visit&& visit) {
  const auto optionally = [&](const std::optional<NormDescription>& norm, NormWeights& to) {
    if (norm) visit(*norm, to);
  };
  optionally(layer.attentionNorm, weights.attentionNorm);
  optionally(layer.attention.queryNorm, weights.queryNorm);
  optionally(layer.attention.keyNorm, weights.keyNorm);
  optionally(layer.attentionOutputNorm, weights.attentionOutputNorm);
  optionally(layer.feedForwardNorm, weights.feedForwardNorm);
  optionally(layer.feedForwardOutputNorm, weights.feedForwardOutputNorm);
  if (layer.attention.latent) {
    visit(layer.attention.latent->latentNorm, weights.latentNorm);
    optionally(layer.attention.latent->queryReductionNorm, weights.queryReductionNorm);
  }
}

/// Places for weights that nobody looks at.
LayerWeights placesOf(const LayerDescription& layer) {
  LayerWeights places;
  places.experts.resize(layer.feedForward.experts.size());
  return places;
}

}  // namespace

std::vector<const LinearDescription*> matricesOf(const LayerDescription& layer) {
  std::vector<const LinearDescription*> matrices;
  LayerWeights places = placesOf(layer);
  eachMatrix(layer, places,
             [&](const LinearDescription& matrix, const LinearWeights&) { matrices.push_back(&matrix); });
  return matrices;
}

std::vector<LinearWeights*> matricesOf(const LayerDescription& description, LayerWeights& layer) {
  std::vector<LinearWeights*> matrices;
  eachMatrix(description, layer,
             [&](const LinearDescription&, LinearWeights& weights) { matrices.push_back(&weights); });
  return matrices;
}

std::vector<const NormDescription*> normsOf(const LayerDescription& layer) {
  std::vector<const NormDescription*> norms;
  LayerWeights places;
  eachNorm(layer, places, [&](const NormDescription& norm, const NormWeights&) { norms.push_back(&norm); });
  return norms;
}

std::vector<NormWeights*> normsOf(const LayerDescription& description, LayerWeights& layer) {
  std::vector<NormWeights*> norms;
  eachNorm(description, layer, [&](const NormDescription&, NormWeights& weights) { norms.push_back(&weights); });
  return norms;
}

Result<at::Tensor> readMatrix(const DecoderWeights& weights, int layer, const std::string& name) {
  const TensorInfo& info = weights.store->tensors().find(name)->second;  // describe() has seen it
  KVISTA_ASSIGN(at::Tensor matrix, readTensor(*weights.store, info));
  if (weights.layersKnown->at(static_cast<std::size_t>(layer))) return matrix;
  if (auto sentence = nonFiniteSentence(info, matrix))
    return fail(ErrorCode::numerical, std::move(*sentence), kDamagedHint);
  return matrix;
}

Result<DecoderWeights> loadWeights(const Checkpoint& checkpoint, const DecoderDescription& description,
                                   at::Device device, at::ScalarType dtype, bool streamed, const Task& task) {
  return guardTorch("Loading the weights", [&]() -> Result<DecoderWeights> {
    DecoderWeights weights;
    KVISTA_ASSIGN(weights.store, withViews(checkpoint.tensors, description.views));
    WeightLoader loader(*weights.store, device, dtype, streamed);
    weights.layersKnown = std::make_shared<std::vector<std::atomic<bool>>>(description.layers.size());
    const EmbeddingDescription& embedding = description.embedding;
    KVISTA_CHECK(loader.load(embedding.weight, weights.embedding));
    KVISTA_CHECK(loader.load(embedding.projection, weights.embeddingProjection));
    KVISTA_CHECK(loader.load(embedding.positions, weights.positions));
    KVISTA_CHECK(loader.load(embedding.norm, weights.embeddingNorm));
    weights.layers.resize(description.layers.size());
    for (std::size_t layer = 0; layer < description.layers.size(); ++layer) {
      KVISTA_CHECK(task.checkStop());
      task.progress("load", layer, description.layers.size(), "layers");
      KVISTA_CHECK(loader.load(description.layers[layer], weights.layers[layer]));
    }
    KVISTA_CHECK(loader.load(description.head.norm, weights.headNorm));
    KVISTA_CHECK(loader.load(description.head.projection, weights.headProjection));
    KVISTA_CHECK(loader.load(description.head.linear, weights.head));
    return weights;
  });
}

Result<std::vector<std::string>> scanWeights(const Checkpoint& checkpoint, const DecoderDescription& description,
                                             const Task& task) {
  return guardTorch("Reading the weights", [&]() -> Result<std::vector<std::string>> {
    std::vector<std::string> sentences;
    const std::vector<RequiredTensor> required = storedTensors(description);  // a matrix of several projections once
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
