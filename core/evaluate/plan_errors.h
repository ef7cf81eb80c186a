// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/model/decoder.h"
#include "core/plan/matrix.h"
#include "core/plan/plan.h"

namespace kvista {

/// Errors of a plan by layer (rows) and KV head (columns).
struct PlanErrors {
  Matrix keys, values;        ///< |error|^2 / |y|^2.
  Matrix keyLoss, valueLoss;  ///< Half the Fisher form of the error, nats a token; empty without gradients.
};

/// At the calibration's second moments, without running the model (but for errorsOfInputs): what the kept directions
/// leave of them, and with codes in the eigenbasis of a group lambda_i D_i of direction i, D_i the relative distortion
/// of its width (1: dropped, 0: 16 bits; methods.md sections 2 and 10), where directions do not mix. Keys after RoPE
/// are compared after RoPE. Empty for plain quantisation, which has no basis. What ReCalKV's value calibration changes
/// after the decomposition is not counted. NaN for layers that read the cache of another: the moments of each layer do
/// not say how alike two are.
Result<PlanErrors> errorsAtMoments(const Decoder& decoder, const Statistics& statistics, const CompressionPlan& plan,
                                   const Task& task);

/// Errors that a short pass over the first calibration windows shows, each layer on the original model's input: up to 4
/// windows of at most 256 tokens.
struct MeasuredErrors {
  Matrix keys, values;  ///< |error|^2 / |y|^2 by KV head, of keys as attention sees them.
  Matrix logits;  ///< Relative squared error of attention's scores by query head, over the pairs that it looks at.
  Matrix attentionOutputs;  ///< Relative squared error of a query head's output, before the output projection.
};
Result<MeasuredErrors> measureErrors(const Decoder& decoder, const Statistics& statistics,
                                     const CacheTransform& transform, const Task& task);

}  // namespace kvista
