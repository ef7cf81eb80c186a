// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/decoder_layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/model/attention.h"

namespace kvista {

namespace {

/// [..., n, heads * d] to [..., n, heads, d], normalised over each head if the family does so.
at::Tensor splitHeads(const at::Tensor& x, int heads, const std::optional<NormDescription>& norm,
                      const at::Tensor& normWeight) {
  const at::Tensor split = x.unflatten(-1, {heads, x.size(-1) / heads});
  return norm ? rmsNorm(split, normWeight, norm->epsilon) : split;
}

at::Tensor runMlp(const MlpDescription& description, const LayerWeights& weights, const at::Tensor& input) {
  return linear(gate(description.activation, linear(input, weights.gate), linear(input, weights.up)), weights.down);
}

/// A cache holds outputs without their bias (`sign` -1), which is put back when they are read (`sign` 1).
KeyValues withBias(const KeyValues& outputs, const LayerWeights& weights, double sign) {
  const auto shifted = [sign](const at::Tensor& output, const LinearWeights& projection) {
    return projection.bias.defined() ? at::add(output, projection.bias, sign) : output;
  };
  return {shifted(outputs.keys, weights.key), shifted(outputs.values, weights.value)};
}

/// [b, n, width] to [b, kvHeads, n, valueHeadDim].
at::Tensor valueHeads(const ModelShape& shape, const at::Tensor& values) {
  return values.unflatten(-1, {shape.kvHeads, shape.valueHeadDim}).transpose(1, 2);
}

/// The rest of a block behind its attention.
at::Tensor afterAttention(const LayerDescription& description, const LayerWeights& weights, const at::Tensor& input,
                          const at::Tensor& attentionOutput) {
  const at::Tensor middle = input + linear(attentionOutput, weights.output);
  return middle + runMlp(description.mlp, weights, rmsNorm(middle, weights.mlpNorm, description.mlpNorm.epsilon));
}

}  // namespace

LayerRecord LayerActivations::record(int layer) const {
  LayerRecord record;
  record.layer = layer;
  record.attentionInput = attentionInput.detach();
  record.keys = keys.detach();
  record.values = values.detach();
  record.rotatedKeys = rotatedKeys.detach();
  record.rotatedQueries = rotatedQueries.detach();
  record.attentionOutput = attentionOutput.detach();
  return record;
}

at::Tensor linear(const at::Tensor& x, const LinearWeights& weights) {
  return weights.bias.defined() ? at::linear(x, weights.weight, weights.bias) : at::linear(x, weights.weight);
}

at::Tensor rotateRawKeys(const DecoderDescription& description, const LayerWeights& weights, int layer,
                         const at::Tensor& keys, const RotaryTable& table) {
  const AttentionDescription& attention = description.layers[layer].attention;
  const at::Tensor heads =
      splitHeads(keys, description.shape.kvHeads, attention.keyNorm, weights.keyNorm);
  return rotate(heads, table);
}

at::Tensor attentionInput(const DecoderDescription& description, const LayerWeights& weights, int layer,
                          const at::Tensor& input) {
  return rmsNorm(input, weights.attentionNorm, description.layers[layer].attentionNorm.epsilon);
}

LayerActivations runLayer(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input) {
  const ModelShape& shape = pass.description.shape;
  const LayerDescription& description = pass.description.layers[layer];
  const AttentionDescription& attention = description.attention;

  LayerActivations result;
  result.attentionInput = attentionInput(pass.description, weights, layer, input);
  result.keys = linear(result.attentionInput, weights.key);
  result.values = linear(result.attentionInput, weights.value);
  KeyValues cached{result.keys, result.values};
  if (pass.transform != nullptr) {
    cached = withBias(pass.transform->beforeRope(layer, withBias(cached, weights, -1)), weights, 1);
  }
  result.rotatedKeys = rotateRawKeys(pass.description, weights, layer, cached.keys, pass.rope).transpose(1, 2);
  if (pass.transform != nullptr) result.rotatedKeys = pass.transform->afterRope(layer, std::move(result.rotatedKeys));

  const at::Tensor queries = linear(result.attentionInput, weights.query);
  result.rotatedQueries =
      rotate(splitHeads(queries, shape.queryHeads, attention.queryNorm, weights.queryNorm), pass.rope).transpose(1, 2);
  result.cachedValues = cached.values;
  result.attentionOutput = causalAttention(result.rotatedQueries, result.rotatedKeys, valueHeads(shape, cached.values),
                                           pass.description.attentionScale, attention.slidingWindow);
  result.output = afterAttention(description, weights, input, result.attentionOutput);
  return result;
}

void keepInCache(const PassContext& pass, int layer, const LayerWeights& weights, const LayerActivations& activations, DecoderCache& all) {
  if (all.store) {
    const at::Tensor rotated = rotateRawKeys(pass.description, weights, layer, activations.keys, pass.rope).transpose(1, 2);
    all.store->append(layer, withBias({activations.keys, activations.values}, weights, -1), rotated);
    return;
  }
  DecoderCache::Layer& cache = all.layers[static_cast<std::size_t>(layer)];
  cache.rotatedKeys = activations.rotatedKeys;
  cache.values = valueHeads(pass.description.shape, activations.cachedValues);
  if (pass.transform != nullptr && !pass.transform->isTokenwise())
    cache.raw = withBias({activations.keys, activations.values}, weights, -1);
}

namespace {

/// Attention of a query to all tokens of a sequence that keeps them in a store.
at::Tensor attendToStore(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& query, const DecoderCache& cache) {
  if (const at::Tensor output = cache.store->attend(layer, query); output.defined()) return output;
  const SequenceStore::Tokens tokens = cache.store->rebuilt(layer);
  const KeyValues all = withBias(tokens.raw, weights, 1);
  const at::Tensor keys =
      tokens.rotatedKeys.defined() ? tokens.rotatedKeys : rotateRawKeys(pass.description, weights, layer, all.keys, {cache.cosine, cache.sine}).transpose(1, 2);
  return attentionOfLast(query, keys, valueHeads(pass.description.shape, all.values), pass.description.attentionScale,
                         pass.description.layers[static_cast<std::size_t>(layer)].attention.slidingWindow);
}

}  // namespace

at::Tensor runLayerOnToken(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input, DecoderCache& sequence) {
  const ModelShape& shape = pass.description.shape;
  const LayerDescription& description = pass.description.layers[layer];
  const AttentionDescription& attention = description.attention;
  const CacheTransform* transform = pass.transform;
  DecoderCache::Layer& cache = sequence.layers[static_cast<std::size_t>(layer)];

  const at::Tensor attentionInput = rmsNorm(input, weights.attentionNorm, description.attentionNorm.epsilon);
  KeyValues token{linear(attentionInput, weights.key), linear(attentionInput, weights.value)};
  const std::int64_t before = sequence.tokens;
  const RotaryTable rotation{pass.rope.cosine.narrow(0, before, 1), pass.rope.sine.narrow(0, before, 1)};
  const at::Tensor query =
      rotate(splitHeads(linear(attentionInput, weights.query), shape.queryHeads, attention.queryNorm, weights.queryNorm), rotation).transpose(1, 2);
  if (sequence.store) {
    sequence.store->append(layer, withBias(token, weights, -1), rotateRawKeys(pass.description, weights, layer, token.keys, rotation).transpose(1, 2));
    return afterAttention(description, weights, input, attendToStore(pass, layer, weights, query, sequence));
  }
  if (transform != nullptr && !transform->isTokenwise()) {
    token = withBias(token, weights, -1);
    cache.raw = {at::cat({cache.raw.keys, token.keys}, 1), at::cat({cache.raw.values, token.values}, 1)};
    const KeyValues all = withBias(transform->beforeRope(layer, cache.raw), weights, 1);
    cache.rotatedKeys = transform->afterRope(layer, rotateRawKeys(pass.description, weights, layer, all.keys, pass.rope).transpose(1, 2));
    cache.values = valueHeads(shape, all.values);
  } else {
    // A transform treats a sequence's first tokens apart: others stand in for them, and what becomes of those is left out.
    const std::int64_t standIns = transform == nullptr ? 0 : std::min(before, transform->leadingTokens());
    const auto behind = [&](const at::Tensor& x, std::int64_t dimension) {
      std::vector<std::int64_t> sizes = x.sizes().vec();
      sizes[static_cast<std::size_t>(dimension)] = standIns;
      return standIns == 0 ? x : at::cat({at::zeros(sizes, x.options()), x}, dimension);
    };
    if (transform != nullptr) {
      const KeyValues raw = withBias(token, weights, -1);
      const KeyValues changed = transform->beforeRope(layer, {behind(raw.keys, 1), behind(raw.values, 1)});
      token = withBias({changed.keys.narrow(1, standIns, 1), changed.values.narrow(1, standIns, 1)}, weights, 1);
    }
    at::Tensor key = rotateRawKeys(pass.description, weights, layer, token.keys, rotation).transpose(1, 2);
    if (transform != nullptr) key = transform->afterRope(layer, behind(key, 2)).narrow(2, standIns, 1);
    cache.rotatedKeys = at::cat({cache.rotatedKeys, key}, 2);
    cache.values = at::cat({cache.values, valueHeads(shape, token.values)}, 2);
  }

  const at::Tensor output =
      attentionOfLast(query, cache.rotatedKeys, cache.values, pass.description.attentionScale, attention.slidingWindow);
  return afterAttention(description, weights, input, output);
}

}  // namespace kvista
