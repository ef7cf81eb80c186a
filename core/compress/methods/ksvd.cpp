// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// What KQ-SVD is compared with: keys and values each as well as they can be, whatever looks at them.
Method ksvdMethod() {
  return {.name = "ksvd",
          .summary = "K-SVD: SVD of every head alone, keys after RoPE, whatever attention makes of them",
          .source = "KQ-SVD (Lesens et al., 2025), section 4",
          .grouping = "head",
          .measure = {},
          .metric = Metric::identity,
          .keyPosition = KeyPosition::afterRope,
          .allocator = "uniform",
          .rankStep = 2};
}

}  // namespace kvista
