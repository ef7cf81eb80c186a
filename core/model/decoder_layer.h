// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "core/model/decoder.h"
#include "core/model/description.h"
#include "core/model/operators.h"
#include "core/model/weights.h"

namespace kvista {

/// What one layer computed; shapes as in LayerRecord.
struct LayerActivations {
  at::Tensor attentionInput;
  at::Tensor keys, values;
  at::Tensor cachedValues;  ///< What attention summed: `values`, through a transform if there is one.
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
  RotaryTable rope;
  const CacheTransform* transform = nullptr;  ///< May be null.
};

/// Runs one block on the token behind those in `cache`, `input` [1, 1, hiddenSize], which joins them. `pass.rope` has the
/// positions of all of them. Answers the next layer's input.
at::Tensor runLayerOnToken(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input, DecoderCache& cache);
/// Puts what a prompt's pass computed where runLayerOnToken goes on from.
void keepInCache(const PassContext& pass, int layer, const LayerWeights& weights, const LayerActivations& activations, DecoderCache& cache);

/// Runs one block, whose `weights` are on the device, on `input` [b, n, hiddenSize]. Differentiable in the input, in the raw keys and values and in the
/// rotated keys when gradients are enabled.
LayerActivations runLayer(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input);

/// What the projections of a layer see of its input: `input` after the layer's norm.
at::Tensor attentionInput(const DecoderDescription& description, const LayerWeights& weights, int layer,
                          const at::Tensor& input);

/// x W^T + b.
at::Tensor linear(const at::Tensor& x, const LinearWeights& weights);

/// Raw keys [..., n, kvHeads * headDim] as attention sees them, [..., n, kvHeads, headDim].
at::Tensor rotateRawKeys(const DecoderDescription& description, const LayerWeights& weights, int layer,
                         const at::Tensor& keys, const RotaryTable& table);

}  // namespace kvista
