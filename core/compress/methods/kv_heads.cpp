// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Neighbouring heads, decomposed for the caches that they make, all numbers alike; `gqa` chooses heads and weighs
/// errors.
Method kvHeadsMethod() {
  return {.name = "kv-heads",
          .summary = "Fewer key-value heads as published: neighbouring heads become one by SVD of their caches",
          .source = "Effectively Compress KV Heads for LLM (Yu et al., 2024), section 3",
          .grouping = "neighbours-both",
          .groupSize = 0,
          .metric = Metric::identity,
          .allocator = "uniform",
          .sharesHeads = true};
}

}  // namespace kvista
