// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// The low-rank branch of its two: the window of exact tokens beside it is a policy of the running model, the training
/// of its factors `kvista refine`.
Method cskvMethod() {
  return {.name = "cskv",
          .summary = "CSKV, its low-rank branch: SVD of keys and of values, the same part of each layer; to be refined",
          .source = "CSKV (Wang et al., 2024), section 3",
          .grouping = "separate",
          .metric = Metric::identity,
          .allocator = "uniform"};
}

}  // namespace kvista
