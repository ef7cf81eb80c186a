// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/live_cache.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/model/attention.h"
#include "core/model/decoder.h"
#include "core/model/decoder_layer.h"
#include "core/model/layer_stream.h"
#include "core/model/torch_guard.h"

namespace kvista {
namespace {

at::Tensor behind(const at::Tensor& held, const at::Tensor& added) {
  return held.defined() ? at::cat({held, added}, 2) : added;
}

at::Tensor splitValues(const ModelShape& shape, const at::Tensor& values) {
  return values.unflatten(-1, {shape.kvHeads, shape.valueHeadDim}).transpose(1, 2);
}

/// What attention sees of a layer's cache.
PlacedTokens attendedTokens(const DecoderDescription& description, const LayerWeights& weights, int layer,
                            const LiveLayer& cache) {
  const KeyValues heads =
      attendedHeads(description, weights, layer, cache.keys, cache.values.transpose(1, 2).flatten(2));
  return {heads.keys, heads.values, cache.positions};
}

/// Runs one block on `input` [b, n, hiddenSize] at `places` (int64 [n]), to which `pass.ropes` belong. The tokens join
/// the cache.
at::Tensor runLayerOnMore(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input,
                          const at::Tensor& places, LiveCache& all) {
  const LayerDescription& description = pass.description.layers[static_cast<std::size_t>(layer)];
  const ModelShape& shape = pass.description.shape;
  LiveLayer& cache = all.layers[static_cast<std::size_t>(layer)];
  const RotaryTable* rotation = ropeOf(pass.description, layer, pass.ropes);

  const at::Tensor normed = attentionInput(pass.description, weights, layer, input);
  const KeyValues raw{linear(normed, weights.key), linear(normed, weights.value), normed};
  const CachedTokens seen = throughTransform(pass, layer, weights, raw, all.tokens, rotation);
  if (all.beside != nullptr) {
    PassContext other = pass;
    other.transform = all.beside;
    const CachedTokens stored = throughTransform(other, layer, weights, raw, all.tokens, rotation);
    cache.storedKeys = behind(cache.storedKeys, stored.rotatedKeys);
    cache.storedValues = behind(cache.storedValues, splitValues(shape, stored.values));
  }
  cache.keys = behind(cache.keys, seen.rotatedKeys);
  cache.values = behind(cache.values, splitValues(shape, seen.values));
  cache.positions = behind(cache.positions, places.expand({input.size(0), shape.kvHeads, places.size(0)}));
  const at::Tensor queries = rotatedQueries(pass.description, weights, layer, normed, rotation, all.tokens);
  if (all.queryWindow > 0) {
    const at::Tensor asked = behind(cache.queries, queries);
    const std::int64_t held = std::min(all.queryWindow, asked.size(2));
    cache.queries = asked.narrow(2, asked.size(2) - held, held);
  }
  const at::Tensor attended = attentionByPlace(description.attention, queries, places,
                                               attendedTokens(pass.description, weights, layer, cache), weights.sinks);
  return afterAttention(description, weights, input, normed, attended);
}

}  // namespace

Result<at::Tensor> Decoder::extend(const at::Tensor& ids, LiveCache& cache, const CacheTransform* transform,
                                   const Task& task) const {
  return guardTorch("The forward pass", [&]() -> Result<at::Tensor> {
    KVISTA_CHECK(checkIds(ids, 1));
    const auto isTokenwise = [](const CacheTransform* one) { return one == nullptr || one->isTokenwise(); };
    if (!isTokenwise(transform) || !isTokenwise(cache.beside))
      return fail(ErrorCode::invalidArgument,
                  "Text cannot be read in parts with a plan in which what becomes of a token depends on other tokens.",
                  "In place of plain quantisation take a policy that quantises, such as kivi.");
    const std::int64_t end = cache.tokens + ids.size(1), length = std::max(cache.sequenceLength, end);
    KVISTA_CHECK(checkLength(end));
    const c10::NoGradGuard noGrad;
    cache.layers.resize(static_cast<std::size_t>(description_.shape.layers));
    const at::Tensor places = at::arange(cache.tokens, end, at::TensorOptions(at::kLong).device(options_.device));
    std::vector<RotaryTable> ropes;
    for (const RopeDescription& rope : description_.ropes) ropes.push_back(rotaryTable(rope, places, length));
    for (const CacheTransform* one : {transform, cache.beside})
      if (one != nullptr) one->beginPass();
    const PassContext pass{description_, weights_, std::move(ropes), transform};
    at::Tensor hidden = embedTokens(description_, weights_, ids.to(options_.device), cache.tokens);
    std::optional<LayerStream> stream;
    if (options_.streamLayers)
      stream.emplace(description_, weights_, options_.device, options_.dtype,
                     LayerStream::upwards(description_.shape.layers));
    for (int layer = 0; layer < description_.shape.layers; ++layer) {
      KVISTA_CHECK(task.checkStop());
      KVISTA_ASSIGN(const LayerWeights weights, stream ? stream->next() : layerOnDevice(layer));
      hidden = runLayerOnMore(pass, layer, weights, hidden, places, cache);
    }
    cache.tokens = end;
    return headInput(description_, weights_, hidden);
  });
}

at::Tensor Decoder::recentAttention(int layer, const LiveLayer& cache, std::int64_t tokens) const {
  const c10::NoGradGuard noGrad;
  const AttentionDescription& attention = description_.layers.at(static_cast<std::size_t>(layer)).attention;
  LayerWeights weights = weights_.layers.at(static_cast<std::size_t>(layer));
  if (attention.latent) weights.expansion.weight = matrixOf(layer, attention.latent->expansion, weights.expansion);
  const std::int64_t asked = cache.queries.size(2);
  const at::Tensor places = at::arange(tokens - asked, tokens, at::TensorOptions(at::kLong).device(options_.device));
  return weightsByPlace(attention, cache.queries, places, attendedTokens(description_, weights, layer, cache));
}

Result<at::Tensor> Decoder::logitsBehind(const at::Tensor& headInput) const {
  return guardTorch("The head", [&]() -> Result<at::Tensor> {
    const c10::NoGradGuard noGrad;
    return head().logits(headInput).to(at::kFloat);
  });
}

Result<at::Tensor> Decoder::lossesBehind(const at::Tensor& headInput, const at::Tensor& ids, const Task& task) const {
  return guardTorch("The loss", [&]() -> Result<at::Tensor> {
    KVISTA_CHECK(checkIds(ids, 2));
    const c10::NoGradGuard noGrad;
    return nextTokenLosses(head(), headInput, ids.to(options_.device), task);
  });
}

}  // namespace kvista
