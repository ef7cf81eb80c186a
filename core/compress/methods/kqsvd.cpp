// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method kqsvdMethod() {
  return {
      .name = "kqsvd",
      .summary =
          "Low rank at 16 bits, every head alone, keys after RoPE: each side as attention reads it, for stock kernels",
      .source = "KQ-SVD (Lesens et al., 2025)",
      .grouping = "head",
      .measure = {},
      .metric = Metric::attention,
      .keyPosition = KeyPosition::afterRope,
      .allocator = "uniform",
      .rankStep = 16};
}

}  // namespace kvista
