// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/scalar_tensor.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <optional>

#include "core/io/checkpoint.h"
#include "core/model/decoder_layer.h"
#include "core/model/device.h"
#include "core/model/head.h"
#include "core/model/layer_stream.h"
#include "core/model/torch_guard.h"

namespace kvista {

Result<std::shared_ptr<const Decoder>> Decoder::load(const Checkpoint& checkpoint, const ComputeOptions& options,
                                                     const Task& task) {
  if (options.dtype != at::kFloat && options.dtype != at::kBFloat16) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("A decoder computes in float32 or bfloat16, not in {}.", c10::toString(options.dtype)));
  }
  KVISTA_ASSIGN(DecoderDescription description, describe(checkpoint));
  ComputeOptions settled = options;
  settled.streamLayers = streamsLayers(description, options.device, options.dtype, options.streamLayers);
  const bool throughBuffers = settled.streamLayers || !options.device.is_cpu();
  KVISTA_ASSIGN(DecoderWeights weights,
                loadWeights(checkpoint, description, options.device, options.dtype, throughBuffers, task));
  if (throughBuffers && !settled.streamLayers)
    KVISTA_CHECK(loadLayers(description, weights, options.device, options.dtype, task));
  if (!settled.activationBudgetBytes) {
    constexpr std::int64_t kGibibyte = std::int64_t{1} << 30;
    const bool isRoomy = !settled.device.is_cpu() && !settled.streamLayers;
    settled.activationBudgetBytes = isRoomy ? availableMemory(settled.device).value_or(0) / 2 : kGibibyte;
  }
  return std::shared_ptr<const Decoder>(new Decoder(std::move(description), settled, std::move(weights)));
}

/// A streamed one is read for this call alone; describe() and the stream have made sure that it can be.
at::Tensor Decoder::matrixOf(int layer, const LinearDescription& linear, const LinearWeights& weights) const {
  if (!options_.streamLayers) return weights.weight;
  return readMatrix(weights_, layer, linear.weight).value().to(options_.device, options_.dtype);
}

at::Tensor Decoder::keyWeight(int layer) const {
  return matrixOf(layer, description_.layers.at(layer).attention.key, weights_.layers.at(layer).key);
}
at::Tensor Decoder::keyBias(int layer) const { return weights_.layers.at(layer).key.bias; }
at::Tensor Decoder::attentionSinks(int layer) const { return weights_.layers.at(layer).sinks; }
at::Tensor Decoder::valueWeight(int layer) const {
  return matrixOf(layer, description_.layers.at(layer).attention.value, weights_.layers.at(layer).value);
}
at::Tensor Decoder::outputWeight(int layer) const {
  return matrixOf(layer, description_.layers.at(layer).attention.output, weights_.layers.at(layer).output);
}
at::Tensor Decoder::valueBias(int layer) const { return weights_.layers.at(layer).value.bias; }

at::Tensor Decoder::rotateKeys(int layer, const at::Tensor& keys, const at::Tensor& positions,
                               std::int64_t sequenceLength) const {
  const c10::NoGradGuard noGrad;
  const LayerWeights& weights = weights_.layers.at(layer);
  const std::optional<int> rope = description_.layers[static_cast<std::size_t>(layer)].attention.rope;
  if (!rope) return rotateRawKeys(description_, weights, layer, keys, nullptr);
  const RotaryTable table = rotaryTable(description_.ropes[static_cast<std::size_t>(*rope)], positions, sequenceLength);
  return rotateRawKeys(description_, weights, layer, keys, &table);
}

KeyValues Decoder::attendedHeads(int layer, const at::Tensor& rotatedKeys, const at::Tensor& values) const {
  const c10::NoGradGuard noGrad;
  LayerWeights weights = weights_.layers.at(layer);
  if (const auto& latent = description_.layers[static_cast<std::size_t>(layer)].attention.latent)
    weights.expansion.weight = matrixOf(layer, latent->expansion, weights.expansion);
  return kvista::attendedHeads(description_, weights, layer, rotatedKeys, values);
}

at::Tensor embedTokens(const DecoderDescription& description, const DecoderWeights& weights, const at::Tensor& ids,
                       std::int64_t firstPosition) {
  const EmbeddingDescription& embedding = description.embedding;
  at::Tensor hidden = at::embedding(weights.embedding, ids);
  // The factor is rounded to the numbers' type first, as models are trained with it.
  if (embedding.multiplier != 1) hidden = hidden * at::scalar_tensor(embedding.multiplier, hidden.options());
  if (embedding.projection) hidden = linear(hidden, weights.embeddingProjection);
  if (weights.positions.defined())
    hidden = hidden + weights.positions.narrow(0, embedding.positionOffset + firstPosition, ids.size(1));
  return embedding.norm ? normalise(*embedding.norm, weights.embeddingNorm, hidden) : hidden;
}

at::Tensor headInput(const DecoderDescription& description, const DecoderWeights& weights, const at::Tensor& hidden) {
  const HeadDescription& head = description.head;
  const at::Tensor normed = head.norm ? normalise(*head.norm, weights.headNorm, hidden) : hidden;
  return head.projection ? linear(normed, weights.headProjection) : normed;
}

Head Decoder::head() const { return {weights_.head, description_.head.multiplier, description_.head.cap}; }

Result<void> Decoder::checkIds(const at::Tensor& ids, std::int64_t minimumTokens) const {
  if (!ids.defined() || ids.dim() != 2 || ids.scalar_type() != at::kLong || ids.size(0) < 1 ||
      ids.size(1) < minimumTokens) {
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("Token ids must be int64 [windows, tokens] with at least 1 window and {} tokens.", minimumTokens));
  }
  const auto lowest = ids.min().item<std::int64_t>();
  const auto highest = ids.max().item<std::int64_t>();
  if (lowest < 0 || highest >= description_.shape.vocabulary) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("Token id {} is outside the model's vocabulary of {}.", lowest < 0 ? lowest : highest,
                            description_.shape.vocabulary),
                "Use the tokenizer that belongs to the model.");
  }
  return checkLength(ids.size(1));
}

Result<void> Decoder::checkLength(std::int64_t tokens) const {
  if (description_.embedding.positions.empty() || tokens <= description_.maximumPositions) return {};
  return fail(ErrorCode::invalidArgument,
              fmt::format("The model has learned {} positions, so that {} tokens are too many.",
                          description_.maximumPositions, tokens),
              "Use shorter windows.");
}

/// Positions 0 .. n-1 of every window.
PassContext Decoder::beginPass(std::int64_t tokens, const CacheTransform* transform) const {
  const at::Tensor positions = at::arange(tokens, at::TensorOptions(at::kLong).device(options_.device));
  std::vector<RotaryTable> ropes;
  for (const RopeDescription& rope : description_.ropes) ropes.push_back(rotaryTable(rope, positions, tokens));
  return {description_, weights_, std::move(ropes), transform};
}

Result<at::Tensor> Decoder::runLayers(const at::Tensor& ids, const CacheTransform* transform,
                                      const LayerVisitor& visitor, const Task& task) const {
  if (transform != nullptr) transform->beginPass();
  if (options_.streamLayers) return runLayersStreamed(ids, transform, visitor, task);
  const PassContext pass = beginPass(ids.size(1), transform);
  at::Tensor hidden = embedTokens(description_, weights_, ids, 0);
  for (int layer = 0; layer < description_.shape.layers; ++layer) {
    KVISTA_CHECK(task.checkStop());
    LayerActivations activations = runLayer(pass, layer, weights_.layers[static_cast<std::size_t>(layer)], hidden);
    hidden = std::move(activations.output);
    if (visitor) KVISTA_CHECK(visitor(activations.record(layer)));
  }
  return headInput(description_, weights_, hidden);
}

Result<ForwardResult> Decoder::forward(const at::Tensor& ids, const CacheTransform* transform,
                                       const LayerVisitor& visitor, bool wantLogits, const Task& task) const {
  return guardTorch("The forward pass", [&]() -> Result<ForwardResult> {
    KVISTA_CHECK(checkIds(ids, 1));
    const c10::NoGradGuard noGrad;
    ForwardResult result;
    KVISTA_ASSIGN(result.hiddenLast, runLayers(ids.to(options_.device), transform, visitor, task));
    if (wantLogits) result.logits = head().logits(result.hiddenLast.to(options_.device));
    return result;
  });
}

Result<at::Tensor> Decoder::embed(const at::Tensor& ids) const {
  return guardTorch("The forward pass", [&]() -> Result<at::Tensor> {
    KVISTA_CHECK(checkIds(ids, 1));
    const c10::NoGradGuard noGrad;
    return embedTokens(description_, weights_, ids.to(options_.device), 0);
  });
}

Result<at::Tensor> Decoder::attentionInputOf(int layer, const at::Tensor& hidden) const {
  return guardTorch("The forward pass", [&]() -> Result<at::Tensor> {
    const c10::NoGradGuard noGrad;
    return attentionInput(description_, weights_.layers.at(layer), layer, hidden);
  });
}

Result<at::Tensor> Decoder::advance(int layer, const at::Tensor& hidden, const CacheTransform* transform) const {
  return guardTorch("The forward pass", [&]() -> Result<at::Tensor> {
    const c10::NoGradGuard noGrad;
    KVISTA_ASSIGN(const LayerWeights weights, layerOnDevice(layer));
    return runLayer(beginPass(hidden.size(1), transform), layer, weights, hidden).output;
  });
}

Result<at::Tensor> Decoder::nextToken(const at::Tensor& ids, DecoderCache& cache, const CacheTransform* transform,
                                      const Task& task) const {
  return guardTorch("The forward pass", [&]() -> Result<at::Tensor> {
    KVISTA_CHECK(checkIds(ids, 1));
    if (ids.size(0) != 1 || (cache.tokens > 0 && ids.size(1) != 1))
      return fail(ErrorCode::invalidArgument, "A sequence goes on by one token at a time.");
    KVISTA_CHECK(checkLength(cache.tokens + ids.size(1)));
    const c10::NoGradGuard noGrad;
    cache.layers.resize(static_cast<std::size_t>(description_.shape.layers));
    if (transform != nullptr) transform->beginPass();
    const PassContext pass = beginPass(cache.tokens + ids.size(1), transform);
    if (cache.store) {
      for (std::size_t i = 0; i < pass.ropes.size() && cache.tokens > 0; ++i) {
        const RotaryTable own = pass.ropes[i].of(cache.tokens, 1);
        cache.ropes[i] = {at::cat({cache.ropes[i].cosine, own.cosine}), at::cat({cache.ropes[i].sine, own.sine}),
                          own.isInterleaved};
      }
      if (cache.tokens == 0) cache.ropes = pass.ropes;
    }
    at::Tensor hidden = embedTokens(description_, weights_, ids.to(options_.device), cache.tokens);
    std::optional<LayerStream> stream;
    if (options_.streamLayers)
      stream.emplace(description_, weights_, options_.device, options_.dtype,
                     LayerStream::upwards(description_.shape.layers));
    for (int layer = 0; layer < description_.shape.layers; ++layer) {
      KVISTA_CHECK(task.checkStop());
      KVISTA_ASSIGN(const LayerWeights weights, stream ? stream->next() : layerOnDevice(layer));
      if (cache.tokens > 0) {
        hidden = runLayerOnToken(pass, layer, weights, hidden, cache);
      } else {
        LayerActivations activations = runLayer(pass, layer, weights, hidden);
        keepInCache(pass, layer, weights, activations, cache);
        hidden = std::move(activations.output);
      }
    }
    cache.tokens += ids.size(1);
    const at::Tensor last = headInput(description_, weights_, hidden.narrow(1, hidden.size(1) - 1, 1).contiguous());
    return head().logits(last).flatten().to(at::kFloat).cpu();
  });
}

Result<at::Tensor> Decoder::tokenLosses(const at::Tensor& ids, const CacheTransform* transform,
                                        const Task& task) const {
  return guardTorch("The forward pass", [&]() -> Result<at::Tensor> {
    KVISTA_CHECK(checkIds(ids, 2));
    const c10::NoGradGuard noGrad;
    const at::Tensor idsOnDevice = ids.to(options_.device);
    KVISTA_ASSIGN(const at::Tensor hidden, runLayers(idsOnDevice, transform, {}, task));
    if (!options_.streamLayers) return nextTokenLosses(head(), hidden, idsOnDevice, task);
    std::vector<at::Tensor> losses;  // of a step each: all windows' head inputs may be more than the device holds
    for (const auto& [first, count] : stepsOf(ids)) {
      KVISTA_ASSIGN(at::Tensor some, nextTokenLosses(head(), hidden.narrow(0, first, count).to(options_.device),
                                                     idsOnDevice.narrow(0, first, count), task));
      losses.push_back(std::move(some));
    }
    return at::cat(losses);
  });
}

}  // namespace kvista
