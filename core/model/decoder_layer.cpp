// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/decoder_layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/linear.h>

#include <optional>

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

at::Tensor rotateRawKeys(const DecoderDescription& description, const DecoderWeights& weights, int layer,
                         const at::Tensor& keys, const RotaryTable& table) {
  const AttentionDescription& attention = description.layers[layer].attention;
  const at::Tensor heads =
      splitHeads(keys, description.shape.kvHeads, attention.keyNorm, weights.layers[layer].keyNorm);
  return rotate(heads, table);
}

at::Tensor attentionInput(const DecoderDescription& description, const DecoderWeights& weights, int layer,
                          const at::Tensor& input) {
  return rmsNorm(input, weights.layers[layer].attentionNorm, description.layers[layer].attentionNorm.epsilon);
}

LayerActivations runLayer(const PassContext& pass, int layer, const at::Tensor& input) {
  const ModelShape& shape = pass.description.shape;
  const LayerDescription& description = pass.description.layers[layer];
  const AttentionDescription& attention = description.attention;
  const LayerWeights& weights = pass.weights.layers[layer];

  LayerActivations result;
  result.attentionInput = attentionInput(pass.description, pass.weights, layer, input);
  result.keys = linear(result.attentionInput, weights.key);
  result.values = linear(result.attentionInput, weights.value);
  KeyValues cached{result.keys, result.values};
  if (pass.transform != nullptr) {
    // A cache holds outputs without their bias, which is put back when they are read.
    const auto shifted = [](const at::Tensor& outputs, const LinearWeights& projection, double sign) {
      return projection.bias.defined() ? at::add(outputs, projection.bias, sign) : outputs;
    };
    cached = pass.transform->beforeRope(layer, {shifted(cached.keys, weights.key, -1), shifted(cached.values, weights.value, -1)});
    cached = {shifted(cached.keys, weights.key, 1), shifted(cached.values, weights.value, 1)};
  }
  result.rotatedKeys = rotateRawKeys(pass.description, pass.weights, layer, cached.keys, pass.rope).transpose(1, 2);
  if (pass.transform != nullptr) result.rotatedKeys = pass.transform->afterRope(layer, std::move(result.rotatedKeys));

  const at::Tensor queries = linear(result.attentionInput, weights.query);
  result.rotatedQueries =
      rotate(splitHeads(queries, shape.queryHeads, attention.queryNorm, weights.queryNorm), pass.rope).transpose(1, 2);
  const at::Tensor values = cached.values.unflatten(-1, {shape.kvHeads, shape.valueHeadDim}).transpose(1, 2);
  result.attentionOutput = causalAttention(result.rotatedQueries, result.rotatedKeys, values,
                                           pass.description.attentionScale, attention.slidingWindow);

  const at::Tensor middle = input + linear(result.attentionOutput, weights.output);
  result.output =
      middle + runMlp(description.mlp, weights, rmsNorm(middle, weights.mlpNorm, description.mlpNorm.epsilon));
  return result;
}

}  // namespace kvista
