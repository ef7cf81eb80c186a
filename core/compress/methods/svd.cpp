// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method svdMethod() {
  return {.name = "svd",
          .summary = "Truncated SVD of the weights alone: no text needed, a lower bound for comparison",
          .source = "LoRC (Zhang et al., 2024), section 3",
          .grouping = "separate",
          .metric = Metric::identity,
          .allocator = "uniform",
          .weightsOnly = true};
}

}  // namespace kvista
