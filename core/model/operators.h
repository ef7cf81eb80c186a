// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/model/description.h"
#include "core/model/weights.h"

namespace kvista {

/// x W^T + b.
at::Tensor linear(const at::Tensor& x, const LinearWeights& weights);

/// The norm over the last axis, in float32 inside; with a row of weights for each head `x` is [..., heads, width].
/// Differentiable in x.
at::Tensor normalise(const NormDescription& description, const NormWeights& weights, const at::Tensor& x);

/// activation(x), elementwise. Differentiable.
at::Tensor activate(Activation activation, const at::Tensor& x);
/// activation(gate) * up, elementwise. Differentiable in both.
at::Tensor gate(Activation activation, const at::Tensor& gate, const at::Tensor& up);

/// Cosine and sine of every position's rotation, float32 [positions, rotaryDim / 2], times the attention factor.
struct RotaryTable {
  at::Tensor cosine, sine;
  bool isInterleaved = false;  ///< See RopeDescription.

  /// Of some of the positions.
  [[nodiscard]] RotaryTable of(std::int64_t first, std::int64_t count) const {
    return {cosine.narrow(0, first, count), sine.narrow(0, first, count), isInterleaved};
  }
};

/// `positions` int64 [n]; `sequenceLength` is what dynamic and longrope frequencies depend on.
RotaryTable rotaryTable(const RopeDescription& rope, const at::Tensor& positions, std::int64_t sequenceLength);

/// Rotates the first rotaryDim numbers of each head as pairs. `x` is [..., n, heads, headDim];
/// the table has n rows. Differentiable in x.
at::Tensor rotate(const at::Tensor& x, const RotaryTable& table);

}  // namespace kvista
