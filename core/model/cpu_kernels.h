// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/fused_kernels.h"

namespace kvista {

/// The fused operators for CPUs, in float32 (the number type is not looked at): one pass over memory where separate
/// operators take several. Every pointer must be valid for what fused_kernels.h says of it.
const FusedKernels& cpuKernels();

}  // namespace kvista
