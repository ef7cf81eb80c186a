// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/operators.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>

#include <vector>

#include "core/model/fused_operators.h"

namespace kvista {

at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  if (fused::isFusable(x) && weight.scalar_type() == x.scalar_type()) return fused::rmsNorm(x, weight, epsilon);
  return at::rms_norm(x, weight.sizes(), weight, epsilon);
}

at::Tensor gate(Activation activation, const at::Tensor& gate, const at::Tensor& up) {
  if (activation == Activation::silu && fused::isFusable(gate) && fused::isFusable(up)) return fused::siluGate(gate, up);
  switch (activation) {
    case Activation::silu:
      return at::silu(gate) * up;
    case Activation::gelu:
      return at::gelu(gate) * up;
    case Activation::geluTanh:
      return at::gelu(gate, "tanh") * up;
    case Activation::relu:
      return at::relu(gate) * up;
  }
  return {};
}

RotaryTable rotaryTable(const RopeDescription& rope, const at::Tensor& positions, std::int64_t sequenceLength) {
  const std::vector<double> exact = inverseFrequencies(rope, sequenceLength);
  // Angles in float32, as models are trained with.
  const at::Tensor frequencies = at::tensor(std::vector<float>(exact.begin(), exact.end())).to(positions.device());
  const at::Tensor angles = positions.to(at::kFloat).unsqueeze(-1) * frequencies;
  return {angles.cos() * rope.attentionFactor, angles.sin() * rope.attentionFactor};
}

at::Tensor rotate(const at::Tensor& x, const RotaryTable& table) {
  if (fused::isFusable(x)) return fused::rotate(x, table.cosine, table.sine);
  const std::int64_t pairs = table.cosine.size(-1);
  const at::Tensor cosine = table.cosine.unsqueeze(-2);  // the same for every head
  const at::Tensor sine = table.sine.unsqueeze(-2);
  const at::Tensor first = x.narrow(-1, 0, pairs);
  const at::Tensor second = x.narrow(-1, pairs, pairs);
  std::vector<at::Tensor> parts = {(first * cosine - second * sine).to(x.scalar_type()),
                                   (second * cosine + first * sine).to(x.scalar_type())};
  if (2 * pairs < x.size(-1)) parts.push_back(x.narrow(-1, 2 * pairs, x.size(-1) - 2 * pairs));
  return at::cat(parts, -1);
}

}  // namespace kvista
