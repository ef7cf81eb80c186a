// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// ERNIE 4.5, the dense ones: Llama's layout, rotated pairs being neighbours.
Result<DecoderDescription> ernie4_5(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeads = 2,
                                                   .headDim = 128,
                                                   .maximumPositions = 131072,
                                                   .isTied = true,
                                                   .norm = {.epsilon = 1e-5},
                                                   .rope = RopeConventions{.theta = 500000, .isInterleaved = true}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("use_bias", false));
  layout.fillAsLlama({.bias = bias, .outputBias = bias}, bias);
  return layout.description;
}

}  // namespace kvista::families
