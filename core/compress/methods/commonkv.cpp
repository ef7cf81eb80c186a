// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Parameters are what this shares; a latent a layer is stored all the same, and only merging latents when the model
/// runs would share those.
Method commonkvMethod() {
  return {.name = "commonkv",
          .summary =
              "CommonKV: 4 adjacent layers share the factor that makes latents, from an SVD of their weights together",
          .source = "CommonKV (Wang et al., 2025), section 3",
          .grouping = "joint",
          .metric = Metric::identity,
          .allocator = "uniform",
          .weightsOnly = true,
          .layersTogether = 4};
}

}  // namespace kvista
