// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plan/plan.h"

namespace kvista {

/// Whether the directions of KQ-SVD, K-SVD and Eigen Attention can be compared at a plan's ranks (methods.md section
/// 6): its keys are compressed after RoPE, its numbers have 16 bits, and each layer has a cache of its own.
inline bool hasKeyVariants(const CompressionPlan& plan) {
  return plan.keyPosition == KeyPosition::afterRope && plan.storage == Storage::lowRank16 && plan.sharedFrom.empty();
}

}  // namespace kvista
