// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/compress/basis.h"
#include "core/compress/factors.h"
#include "core/model/decoder.h"

namespace kvista {

/// CommonKV (methods.md section 11): the key and value projections of `together` adjacent layers one below the other
/// are decomposed at once, sum over layers of W^T W = V diag(lambda) V^T, W [2kv, hiddenSize], so that W ~ (W V_r)
/// V_r^T in each: one V_r^T makes the latents z = V_r^T x of all of them, which lie in one space. The basis of `layer`
/// has up = W V and eigenvalues lambda over the number of layers, 0 beyond the hidden size. Since factors read outputs
/// y = W x, down = V^T W^+; where outputs are fewer than inputs, which they then do not determine, down = V^T of the
/// inputs, and only the first 2kv directions are there: no latent is wider.
Result<GroupBasis> commonLayerBasis(const Decoder& decoder, int layer, int together);

/// Mean second moments, [2kv, 2kv] float64, of what factors that read inputs lose of each layer's outputs: (W - B A)
/// sum x x^T (W - B A)^T over the first windows of the statistics' text, which a pass goes through, since sums of
/// outputs do not hold those of inputs. The plan's first exact tokens are left out. One a group of `plan`, undefined
/// for those that are the identity.
Result<std::vector<at::Tensor>> errorsOfInputs(const Decoder& decoder, const Statistics& statistics,
                                               const CompressionPlan& plan, const PlanFactors& factors,
                                               const Task& task);

}  // namespace kvista
