// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/model/decoder.h"
#include "core/model/description.h"
#include "core/model/operators.h"
#include "core/model/weights.h"

namespace kvista {

/// What one layer computed; shapes as in LayerRecord.
struct LayerActivations {
  at::Tensor attentionInput;
  at::Tensor keys, values;
  at::Tensor cachedValues;  ///< What attention read: `values`, through a transform if there is one.
  at::Tensor rotatedKeys, rotatedQueries;
  at::Tensor attentionOutput;
  at::Tensor output;  ///< [b, n, hiddenSize]: the next layer's input.

  /// The same, without gradients and detached from a graph.
  [[nodiscard]] LayerRecord record(int layer) const;
};

/// What all layers of one pass share.
struct PassContext {
  const DecoderDescription& description;
  const DecoderWeights& weights;
  std::vector<RotaryTable> ropes;             ///< One for each of the description's, a row for each position.
  const CacheTransform* transform = nullptr;  ///< May be null.
};

/// Tokens as a cache holds them: keys as attention sees them [b, kvHeads, n, headDim], values [b, n, width].
struct CachedTokens {
  at::Tensor rotatedKeys, values;
};

/// What becomes of the raw outputs, their input with them, of tokens that stand at `place` and behind it: turned by
/// `rotation` (a row each; may be null), through the pass's transform, which must be tokenwise, unless there is none or
/// `place` is 0.
CachedTokens throughTransform(const PassContext& pass, int layer, const LayerWeights& weights, const KeyValues& raw,
                              std::int64_t place, const RotaryTable* rotation);

/// Queries as attention asks with them, [b, queryHeads, n, d], the first of them at `place`. `table` may be null.
at::Tensor rotatedQueries(const DecoderDescription& description, const LayerWeights& weights, int layer,
                          const at::Tensor& input, const RotaryTable* table, std::int64_t place);

/// The rest of a block behind its attention: from its `input` and what its projections saw of that.
at::Tensor afterAttention(const LayerDescription& layer, const LayerWeights& weights, const at::Tensor& input,
                          const at::Tensor& attentionInput, const at::Tensor& attentionOutput);

/// Runs one block on the token behind those in `cache`, `input` [1, 1, hiddenSize], which joins them. `pass.ropes` have
/// the positions of all of them. Answers the next layer's input.
at::Tensor runLayerOnToken(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input,
                           DecoderCache& cache);
/// Puts what a prompt's pass computed where runLayerOnToken goes on from.
void keepInCache(const PassContext& pass, int layer, const LayerWeights& weights, const LayerActivations& activations,
                 DecoderCache& cache);

/// Runs one block, whose `weights` are on the device, on `input` [b, n, hiddenSize]. Differentiable in the input, in
/// the raw keys and values and in the rotated keys when gradients are enabled.
LayerActivations runLayer(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input);

/// What the projections of a layer see of its input: `input` after the layer's norm.
at::Tensor attentionInput(const DecoderDescription& description, const LayerWeights& weights, int layer,
                          const at::Tensor& input);

/// The layer's rotation in `ropes`; null where nothing rotates.
const RotaryTable* ropeOf(const DecoderDescription& description, int layer, const std::vector<RotaryTable>& ropes);

/// Raw keys [..., n, kvHeads * headDim] as attention sees them, [..., n, kvHeads, headDim]. `table` may be null.
at::Tensor rotateRawKeys(const DecoderDescription& description, const LayerWeights& weights, int layer,
                         const at::Tensor& keys, const RotaryTable* table);

/// What each head attends to, made of rotated keys [b, kvHeads, n, headDim] and raw values [b, n, width]: keys [b,
/// heads, n, d] and values [b, heads, n, dv], where latent attention has as many heads as there are queries and others
/// have kvHeads.
KeyValues attendedHeads(const DecoderDescription& description, const LayerWeights& weights, int layer,
                        const at::Tensor& rotatedKeys, const at::Tensor& values);

}  // namespace kvista
