// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista {

/// Errors of one way of choosing directions, |error|^2 / |what there is|^2, means over layers and heads.
struct VariantErrors {
  std::string name;
  double keys = 0, values = 0, logits = 0, attentionOutputs = 0;
};

/// KQ-SVD's comparison (methods.md section 6): the ranks of `plan`, whose keys are compressed after RoPE at 16 bits,
/// with the directions of KQ-SVD, of K-SVD and of Eigen Attention; measured as MeasuredErrors. Error: invalidArgument
/// for other plans.
Result<std::vector<VariantErrors>> compareKeyVariants(const Decoder& decoder, const Statistics& statistics,
                                                      const CompressionPlan& plan, const Task& task);

}  // namespace kvista
