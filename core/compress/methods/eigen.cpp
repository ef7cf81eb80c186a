// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// One orthogonal basis for keys and queries.
Method eigenMethod() {
  return {
      .name = "eigen",
      .summary = "Eigen Attention: every head in the largest directions of its keys and queries together, after RoPE",
      .source = "Eigen Attention (Saxena et al., 2024), section 3",
      .grouping = "head",
      .measure = {},
      .metric = Metric::eigen,
      .keyPosition = KeyPosition::afterRope,
      .allocator = "uniform",
      .rankStep = 2};
}

}  // namespace kvista
