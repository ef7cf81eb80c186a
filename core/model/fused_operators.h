// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "core/cuda/fused_kernels.h"

namespace kvista::fused {

/// Whether there are fused kernels for such a tensor: float32 on the CPU; float32 and bfloat16 on a GPU, where
/// libkvista_cuda was loaded. The functions below need contiguous tensors for which this is true, all of one type.
bool isFusable(const at::Tensor& x);

/// Kernels for every GPU from now on; called once, by openDevice.
void useOnGpus(const FusedKernels& kernels);
bool areOnGpus();

/// See rmsNorm in operators.h. Differentiable in x.
at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
/// silu(gate) * up. Differentiable in both.
at::Tensor siluGate(const at::Tensor& gate, const at::Tensor& up);
/// Rotation of `x` [..., n, heads, headDim] by the angles whose `cosine` and `sine` are float32 [n, rotaryDim / 2].
/// Differentiable in x.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine);
/// uint8 as `numbers`, float32: see trellisCodes in trellis.h.
at::Tensor trellisCodes(const at::Tensor& numbers, int bits);

}  // namespace kvista::fused
