// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace kvista::cpu {

/// Fused float32 operators with hand-written gradients: one pass over memory where separate operators take several.
/// All need contiguous CPU tensors of type float unless they say otherwise; `isFusable` tells.
bool isFusable(const at::Tensor& x);

/// See rmsNorm in operators.h.
at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
/// silu(gate) * up.
at::Tensor siluGate(const at::Tensor& gate, const at::Tensor& up);
/// Rotation of `x` [..., n, heads, headDim] by the angles whose `cosine` and `sine` are [n, rotaryDim / 2].
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine);

}  // namespace kvista::cpu
