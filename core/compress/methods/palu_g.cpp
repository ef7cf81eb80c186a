// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Palu as its authors recommend it (G-LRD).
Method paluGMethod() {
  return {
      .name = "palu-g",
      .summary =
          "Palu, G-LRD: whitened SVD of groups of 4 neighbouring heads, keys and values alike, ranks by Fisher score",
      .source = "Palu (Chang et al., 2024), section 3.2",
      .grouping = "neighbours-both",
      .metric = Metric::identity,
      .allocator = "fisher_uniform",
      .rankStep = 32};
}

}  // namespace kvista
