// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/decoder_layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/model/attention.h"
#include "core/model/feed_forward.h"

namespace kvista {

namespace {

const AttentionDescription& attentionOf(const DecoderDescription& description, int layer) {
  return description.layers[static_cast<std::size_t>(layer)].attention;
}

at::Tensor clipped(const AttentionDescription& attention, const at::Tensor& x) {
  return attention.clip > 0 ? at::clamp(x, -attention.clip, attention.clip) : x;
}

at::Tensor normalise(const std::optional<NormDescription>& norm, const NormWeights& weights, const at::Tensor& x) {
  return norm ? kvista::normalise(*norm, weights, x) : x;
}

/// [..., n, heads * d] to [..., n, heads, d], clamped and normalised as the family does it.
at::Tensor splitHeads(const AttentionDescription& attention, const at::Tensor& x, int heads,
                      const std::optional<NormDescription>& norm, const NormWeights& weights) {
  const std::int64_t width = x.size(-1) / heads;
  const at::Tensor all = clipped(attention, x);
  if (norm && norm->width != width) return kvista::normalise(*norm, weights, all).unflatten(-1, {heads, width});
  return normalise(norm, weights, all.unflatten(-1, {heads, width}));
}

/// [b, n, width] to [b, kvHeads, n, valueHeadDim].
at::Tensor valueHeads(const ModelShape& shape, const at::Tensor& values) {
  return values.unflatten(-1, {shape.kvHeads, shape.valueHeadDim}).transpose(1, 2);
}

/// [..., n, heads * d] to heads as attention sees them, [..., n, heads, d]. `table` may be null.
at::Tensor turnedHeads(const AttentionDescription& attention, const at::Tensor& x, int heads,
                       const std::optional<NormDescription>& norm, const NormWeights& weights,
                       const RotaryTable* table) {
  const auto turned = [&](const at::Tensor& split) { return table == nullptr ? split : rotate(split, *table); };
  if (!attention.normsAfterRope) return turned(splitHeads(attention, x, heads, norm, weights));
  return normalise(norm, weights, turned(splitHeads(attention, x, heads, std::nullopt, weights)));
}

}  // namespace

at::Tensor rotatedQueries(const DecoderDescription& description, const LayerWeights& weights, int layer,
                          const at::Tensor& input, const RotaryTable* table, std::int64_t place) {
  const AttentionDescription& attention = attentionOf(description, layer);
  at::Tensor source = input;
  if (attention.latent && attention.latent->queryReduction)
    source = normalise(attention.latent->queryReductionNorm, weights.queryReductionNorm,
                       linear(input, weights.queryReduction));
  at::Tensor heads = turnedHeads(attention, linear(source, weights.query), description.shape.queryHeads,
                                 attention.queryNorm, weights.queryNorm, attention.latent ? nullptr : table);
  if (table != nullptr && attention.latent) {
    const std::int64_t still = attention.latent->keyWidth;
    heads = at::cat({heads.narrow(-1, 0, still), rotate(heads.narrow(-1, still, heads.size(-1) - still), *table)}, -1);
  }
  if (const auto& growth = attention.queryGrowth) {
    const at::Tensor places = at::arange(place, place + heads.size(1), heads.options().dtype(at::kLong));
    const at::Tensor factors = places.floor_divide(growth->every).to(at::kFloat).log1p() * growth->rate + 1;
    heads = heads * factors.to(heads.scalar_type()).view({-1, 1, 1});
  }
  return heads.transpose(1, 2);
}

namespace {

/// A cache holds outputs without their bias (`sign` -1), which is put back when they are read (`sign` 1).
KeyValues withBias(const KeyValues& outputs, const LayerWeights& weights, double sign) {
  const auto shifted = [sign](const at::Tensor& output, const LinearWeights& projection) {
    return projection.bias.defined() ? at::add(output, projection.bias, sign) : output;
  };
  return {shifted(outputs.keys, weights.key), shifted(outputs.values, weights.value), outputs.input};
}

}  // namespace

at::Tensor afterAttention(const LayerDescription& layer, const LayerWeights& weights, const at::Tensor& input,
                          const at::Tensor& attentionInput, const at::Tensor& attentionOutput) {
  const auto scaled = [&](const at::Tensor& x) {
    return layer.residualMultiplier == 1 ? x : x * layer.residualMultiplier;
  };
  const auto fed = [&](const at::Tensor& x) {
    return normalise(layer.feedForwardOutputNorm, weights.feedForwardOutputNorm,
                     feedForward(layer.feedForward, weights, x));
  };
  const at::Tensor attended =
      normalise(layer.attentionOutputNorm, weights.attentionOutputNorm, linear(attentionOutput, weights.output));
  switch (layer.arrangement) {
    case Arrangement::sequential: {
      const at::Tensor middle = input + scaled(attended);
      return middle + scaled(fed(normalise(layer.feedForwardNorm, weights.feedForwardNorm, middle)));
    }
    case Arrangement::parallel: {
      const at::Tensor seen =
          layer.feedForwardNorm ? normalise(layer.feedForwardNorm, weights.feedForwardNorm, input) : attentionInput;
      return input + scaled(attended + fed(seen));
    }
    case Arrangement::normedSums: {
      const at::Tensor middle = normalise(layer.attentionNorm, weights.attentionNorm, input + scaled(attended));
      return normalise(layer.feedForwardNorm, weights.feedForwardNorm, middle + scaled(fed(middle)));
    }
  }
  return {};
}

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

const RotaryTable* ropeOf(const DecoderDescription& description, int layer, const std::vector<RotaryTable>& ropes) {
  const std::optional<int> rope = attentionOf(description, layer).rope;
  return rope ? &ropes[static_cast<std::size_t>(*rope)] : nullptr;
}

at::Tensor rotateRawKeys(const DecoderDescription& description, const LayerWeights& weights, int layer,
                         const at::Tensor& keys, const RotaryTable* table) {
  const AttentionDescription& attention = attentionOf(description, layer);
  return turnedHeads(attention, keys, description.shape.kvHeads, attention.keyNorm, weights.keyNorm, table);
}

KeyValues attendedHeads(const DecoderDescription& description, const LayerWeights& weights, int layer,
                        const at::Tensor& rotatedKeys, const at::Tensor& values) {
  const AttentionDescription& attention = attentionOf(description, layer);
  if (!attention.latent) return {rotatedKeys, valueHeads(description.shape, clipped(attention, values))};
  const LatentAttentionDescription& latent = *attention.latent;
  const int heads = description.shape.queryHeads;
  const at::Tensor latents = kvista::normalise(latent.latentNorm, weights.latentNorm, values);
  const at::Tensor expanded =
      linear(latents, weights.expansion).unflatten(-1, {heads, latent.keyWidth + latent.valueWidth}).transpose(1, 2);
  const at::Tensor shared = rotatedKeys.expand({rotatedKeys.size(0), heads, rotatedKeys.size(2), rotatedKeys.size(3)});
  return {at::cat({expanded.narrow(-1, 0, latent.keyWidth), shared}, -1),
          expanded.narrow(-1, latent.keyWidth, latent.valueWidth)};
}

at::Tensor attentionInput(const DecoderDescription& description, const LayerWeights& weights, int layer,
                          const at::Tensor& input) {
  const LayerDescription& own = description.layers[static_cast<std::size_t>(layer)];
  return own.arrangement == Arrangement::normedSums ? input
                                                    : normalise(own.attentionNorm, weights.attentionNorm, input);
}

CachedTokens throughTransform(const PassContext& pass, int layer, const LayerWeights& weights, const KeyValues& raw,
                              std::int64_t place, const RotaryTable* rotation) {
  const CacheTransform* transform = pass.transform;
  const auto rotated = [&](const at::Tensor& keys) {
    return rotateRawKeys(pass.description, weights, layer, keys, rotation).transpose(1, 2);
  };
  if (transform == nullptr) return {rotated(raw.keys), raw.values};
  // A transform treats a sequence's first tokens apart: others stand in for them, and what becomes of those is left
  // out.
  const std::int64_t standIns = std::min(place, transform->leadingTokens()), tokens = raw.keys.size(1);
  const auto behind = [&](const at::Tensor& x, std::int64_t dimension) {
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes[static_cast<std::size_t>(dimension)] = standIns;
    return standIns == 0 ? x : at::cat({at::zeros(sizes, x.options()), x}, dimension);
  };
  const auto own = [&](const at::Tensor& x, std::int64_t dimension) {
    return standIns == 0 ? x : x.narrow(dimension, standIns, tokens);
  };
  const KeyValues bare = withBias(raw, weights, -1);
  const KeyValues changed =
      transform->beforeRope(layer, {behind(bare.keys, 1), behind(bare.values, 1), behind(bare.input, 1)});
  const KeyValues cached = withBias({own(changed.keys, 1), own(changed.values, 1)}, weights, 1);
  return {own(transform->afterRope(layer, behind(rotated(cached.keys), 2)), 2), cached.values};
}

LayerActivations runLayer(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input) {
  const LayerDescription& description = pass.description.layers[static_cast<std::size_t>(layer)];
  const RotaryTable* rope = ropeOf(pass.description, layer, pass.ropes);

  LayerActivations result;
  result.attentionInput = attentionInput(pass.description, weights, layer, input);
  result.keys = linear(result.attentionInput, weights.key);
  result.values = linear(result.attentionInput, weights.value);
  CachedTokens cached =
      throughTransform(pass, layer, weights, {result.keys, result.values, result.attentionInput}, 0, rope);
  result.rotatedKeys = std::move(cached.rotatedKeys);
  result.cachedValues = std::move(cached.values);

  result.rotatedQueries = rotatedQueries(pass.description, weights, layer, result.attentionInput, rope, 0);
  const KeyValues heads = attendedHeads(pass.description, weights, layer, result.rotatedKeys, result.cachedValues);
  result.attentionOutput =
      causalAttention(description.attention, result.rotatedQueries, heads.keys, heads.values, weights.sinks);
  result.output = afterAttention(description, weights, input, result.attentionInput, result.attentionOutput);
  return result;
}

void keepInCache(const PassContext& pass, int layer, const LayerWeights& weights, const LayerActivations& activations,
                 DecoderCache& all) {
  if (all.store) {
    const at::Tensor rotated =
        rotateRawKeys(pass.description, weights, layer, activations.keys, ropeOf(pass.description, layer, pass.ropes))
            .transpose(1, 2);
    all.store->append(layer, withBias({activations.keys, activations.values, activations.attentionInput}, weights, -1),
                      rotated);
    return;
  }
  DecoderCache::Layer& cache = all.layers[static_cast<std::size_t>(layer)];
  cache.rotatedKeys = activations.rotatedKeys;
  cache.values = activations.cachedValues;
  if (pass.transform != nullptr && !pass.transform->isTokenwise())
    cache.raw = withBias({activations.keys, activations.values}, weights, -1);
}

namespace {

at::Tensor attendToAll(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& query,
                       const at::Tensor& rotatedKeys, const at::Tensor& values) {
  const KeyValues heads = attendedHeads(pass.description, weights, layer, rotatedKeys, values);
  return attentionOfLast(attentionOf(pass.description, layer), query, heads.keys, heads.values, weights.sinks);
}

/// Attention of a query to all tokens of a sequence that keeps them in a store.
at::Tensor attendToStore(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& query,
                         const DecoderCache& cache) {
  if (const at::Tensor output = cache.store->attend(layer, query); output.defined()) return output;
  const SequenceStore::Tokens tokens = cache.store->rebuilt(layer);
  const KeyValues all = withBias(tokens.raw, weights, 1);
  const at::Tensor keys = tokens.rotatedKeys.defined() ? tokens.rotatedKeys
                                                       : rotateRawKeys(pass.description, weights, layer, all.keys,
                                                                       ropeOf(pass.description, layer, cache.ropes))
                                                             .transpose(1, 2);
  return attendToAll(pass, layer, weights, query, keys, all.values);
}

}  // namespace

at::Tensor runLayerOnToken(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input,
                           DecoderCache& sequence) {
  const LayerDescription& description = pass.description.layers[static_cast<std::size_t>(layer)];
  const CacheTransform* transform = pass.transform;
  DecoderCache::Layer& cache = sequence.layers[static_cast<std::size_t>(layer)];

  const at::Tensor normed = attentionInput(pass.description, weights, layer, input);
  KeyValues token{linear(normed, weights.key), linear(normed, weights.value), normed};
  const std::int64_t before = sequence.tokens;
  const RotaryTable* rope = ropeOf(pass.description, layer, pass.ropes);
  const std::optional<RotaryTable> ownRope = rope != nullptr ? std::optional(rope->of(before, 1)) : std::nullopt;
  const RotaryTable* rotation = ownRope ? &*ownRope : nullptr;
  const auto rotated = [&](const at::Tensor& keys, const RotaryTable* table) {
    return rotateRawKeys(pass.description, weights, layer, keys, table).transpose(1, 2);
  };
  const at::Tensor query = rotatedQueries(pass.description, weights, layer, normed, rotation, before);
  if (sequence.store) {
    sequence.store->append(layer, withBias(token, weights, -1), rotated(token.keys, rotation));
    return afterAttention(description, weights, input, normed, attendToStore(pass, layer, weights, query, sequence));
  }
  if (transform != nullptr && !transform->isTokenwise()) {
    token = withBias(token, weights, -1);
    cache.raw = {at::cat({cache.raw.keys, token.keys}, 1), at::cat({cache.raw.values, token.values}, 1)};
    const KeyValues all = withBias(transform->beforeRope(layer, cache.raw), weights, 1);
    cache.rotatedKeys = transform->afterRope(layer, rotated(all.keys, rope));
    cache.values = all.values;
  } else {
    const CachedTokens own = throughTransform(pass, layer, weights, token, before, rotation);
    cache.rotatedKeys = at::cat({cache.rotatedKeys, own.rotatedKeys}, 2);
    cache.values = at::cat({cache.values, own.values}, 1);
  }
  return afterAttention(description, weights, input, normed,
                        attendToAll(pass, layer, weights, query, cache.rotatedKeys, cache.values));
}

}  // namespace kvista
