// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/deepseek.h"

namespace kvista::families {

/// DeepSeek-V3, R1 and Kimi K2: latent attention; experts chosen by sigmoids and a learned correction, out of the best
/// groups.
Result<DecoderDescription> deepseek_v3(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLatent(config, {.maximumPositions = 4096, .interleaveKey = "rope_interleave"}));
  KVISTA_CHECK(
      fillSigmoidMixture(config,
                         {.mixture = {.expertsKey = "n_routed_experts", .experts = 256, .perToken = 8, .width = 2048},
                          .denseLayers = 3,
                          .groups = 8,
                          .chosenGroups = 4,
                          .scale = 2.5},
                         layout));
  return layout.description;
}

}  // namespace kvista::families
