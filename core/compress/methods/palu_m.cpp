// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Palu with every head decomposed alone (M-LRD): the least decoding work, the most loss.
Method paluMMethod() {
  return {.name = "palu-m",
          .summary = "Palu, M-LRD: whitened SVD of every head alone, ranks by Fisher score",
          .source = "Palu (Chang et al., 2024), section 3.2",
          .grouping = "head",
          .metric = Metric::identity,
          .allocator = "fisher_uniform",
          .rankStep = 32};
}

}  // namespace kvista
