// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Helium: Llama's layout, rotated pairs being neighbours.
Result<DecoderDescription> helium(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeads = 20,
                                                   .headDim = 128,
                                                   .maximumPositions = 4096,
                                                   .norm = {.epsilon = 1e-8},
                                                   .rope = RopeConventions{.theta = 100000, .isInterleaved = true}}));
  KVISTA_ASSIGN(const bool attentionBias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const bool mlpBias, config.booleanOr("mlp_bias", false));
  layout.fillAsLlama({.bias = attentionBias}, mlpBias);
  return layout.description;
}

}  // namespace kvista::families
