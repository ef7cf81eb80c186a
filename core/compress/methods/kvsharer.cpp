// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// What is stored is stored as it is.
Method kvsharerMethod() {
  return {.name = "kvsharer",
          .summary = "KVSharer: whole layers read the cache of an earlier layer that is unlike theirs",
          .source = "KVSharer (Yang et al., 2024), section 3",
          .grouping = "separate",
          .metric = Metric::identity,
          .allocator = "uniform",
          .sharesLayers = true};
}

}  // namespace kvista
