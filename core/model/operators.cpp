// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/operators.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <optional>
#include <vector>

#include "core/model/fused_operators.h"

namespace kvista {

at::Tensor linear(const at::Tensor& x, const LinearWeights& weights) {
  return weights.bias.defined() ? at::linear(x, weights.weight, weights.bias) : at::linear(x, weights.weight);
}

at::Tensor normalise(const NormDescription& description, const NormWeights& weights, const at::Tensor& x) {
  const bool isRowwise = description.heads > 0;
  const auto whole = [&](const at::Tensor& tensor) {
    return tensor.defined() && !isRowwise ? std::optional(tensor) : std::nullopt;
  };
  at::Tensor result;
  if (description.kind == NormKind::layer) {
    result = at::layer_norm(x, {description.width}, whole(weights.weight), whole(weights.bias), description.epsilon);
  } else if (whole(weights.weight) && fused::isFusable(x) && weights.weight.scalar_type() == x.scalar_type()) {
    result = fused::rmsNorm(x, weights.weight, description.epsilon);
  } else {
    result = at::rms_norm(x, {description.width}, whole(weights.weight), description.epsilon);
  }
  if (isRowwise && weights.weight.defined()) result = result * weights.weight;
  return isRowwise && weights.bias.defined() ? result + weights.bias : result;
}

at::Tensor activate(Activation activation, const at::Tensor& x) {
  switch (activation) {
    case Activation::silu:
      return at::silu(x);
    case Activation::gelu:
      return at::gelu(x);
    case Activation::geluTanh:
      return at::gelu(x, "tanh");
    case Activation::relu:
      return at::relu(x);
    case Activation::reluSquared:
      return at::relu(x).square();
  }
  return {};
}

at::Tensor gate(Activation activation, const at::Tensor& gate, const at::Tensor& up) {
  if (activation == Activation::silu && fused::isFusable(gate) && fused::isFusable(up))
    return fused::siluGate(gate, up);
  return activate(activation, gate) * up;
}

RotaryTable rotaryTable(const RopeDescription& rope, const at::Tensor& positions, std::int64_t sequenceLength) {
  const std::vector<double> exact = inverseFrequencies(rope, sequenceLength);
  // Angles in float32, as models are trained with.
  const at::Tensor frequencies = at::tensor(std::vector<float>(exact.begin(), exact.end())).to(positions.device());
  const at::Tensor angles = positions.to(at::kFloat).unsqueeze(-1) * frequencies;
  return {angles.cos() * rope.attentionFactor, angles.sin() * rope.attentionFactor, rope.isInterleaved};
}

at::Tensor rotate(const at::Tensor& x, const RotaryTable& table) {
  if (!table.isInterleaved && fused::isFusable(x)) return fused::rotate(x, table.cosine, table.sine);
  const std::int64_t pairs = table.cosine.size(-1);
  const at::Tensor cosine = table.cosine.unsqueeze(-2);  // the same for every head
  const at::Tensor sine = table.sine.unsqueeze(-2);
  const at::Tensor rotating = x.narrow(-1, 0, 2 * pairs);
  const at::Tensor split =
      table.isInterleaved ? rotating.unflatten(-1, {pairs, 2}).transpose(-1, -2) : rotating.unflatten(-1, {2, pairs});
  const at::Tensor first = split.select(-2, 0), second = split.select(-2, 1);
  const std::vector<at::Tensor> turned = {(first * cosine - second * sine).to(x.scalar_type()),
                                          (second * cosine + first * sine).to(x.scalar_type())};
  std::vector<at::Tensor> parts = {at::stack(turned, table.isInterleaved ? -1 : -2).flatten(-2)};
  if (2 * pairs < x.size(-1)) parts.push_back(x.narrow(-1, 2 * pairs, x.size(-1) - 2 * pairs));
  return parts.size() == 1 ? parts.front() : at::cat(parts, -1);
}

}  // namespace kvista
