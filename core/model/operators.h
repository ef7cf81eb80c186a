// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/model/description.h"

namespace kvista {

/// x / sqrt(mean(x^2) + epsilon) * weight over the last axis, in float32 inside. Differentiable in x.
at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

/// activation(gate) * up, elementwise. Differentiable in both.
at::Tensor gate(Activation activation, const at::Tensor& gate, const at::Tensor& up);

/// Cosine and sine of every position's rotation, float32 [positions, rotaryDim / 2], times the attention factor.
struct RotaryTable {
  at::Tensor cosine, sine;
};

/// `positions` int64 [n]; `sequenceLength` is what dynamic and longrope frequencies depend on.
RotaryTable rotaryTable(const RopeDescription& rope, const at::Tensor& positions, std::int64_t sequenceLength);

/// Rotates the first rotaryDim numbers of each head as pairs (j, j + rotaryDim / 2). `x` is [..., n, heads, headDim];
/// the table has n rows. Differentiable in x.
at::Tensor rotate(const at::Tensor& x, const RotaryTable& table);

}  // namespace kvista
