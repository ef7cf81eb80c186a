// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// `svd` with the published distribution over layers.
Method lorcMethod() {
  return {.name = "lorc",
          .summary = "LoRC: SVD of the weights alone, less the later the layer by cumulative condition numbers",
          .source = "LoRC (Zhang et al., 2024), sections 3.1 and 3.2",
          .grouping = "separate",
          .metric = Metric::identity,
          .allocator = "lorc",
          .weightsOnly = true};
}

}  // namespace kvista
