// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Its truncation-aware whitening, of the two projections that the cache is made of (methods.md section 2).
Method svdLlmMethod() {
  return {.name = "svd-llm",
          .summary = "Whitened SVD of the key and the value projection, the same part of each",
          .source = "SVD-LLM (Wang et al., 2024), section 3.1",
          .grouping = "separate",
          .metric = Metric::identity,
          .allocator = "uniform"};
}

}  // namespace kvista
