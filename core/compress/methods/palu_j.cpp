// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Palu with all heads of a projection together (J-LRD): the least loss of its three, the most decoding work.
Method paluJMethod() {
  return {.name = "palu-j",
          .summary = "Palu, J-LRD: whitened SVD of all keys and of all values of a layer, ranks by Fisher score",
          .source = "Palu (Chang et al., 2024), section 3.2",
          .grouping = "separate",
          .metric = Metric::identity,
          .allocator = "fisher_uniform",
          .rankStep = 32};
}

}  // namespace kvista
