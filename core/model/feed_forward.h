// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "core/model/description.h"
#include "core/model/weights.h"

namespace kvista {

/// The second half of a block, `input` [b, n, hiddenSize] being what its norm answers. Differentiable in the input.
at::Tensor feedForward(const FeedForwardDescription& description, const LayerWeights& weights, const at::Tensor& input);

}  // namespace kvista
