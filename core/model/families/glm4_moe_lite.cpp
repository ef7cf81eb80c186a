// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/deepseek.h"

namespace kvista::families {

/// GLM 4.7 Flash: latent attention, and experts as DeepSeek-V3's without groups.
Result<DecoderDescription> glm4_moe_lite(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLatent(config, {.keyWidth = 192,
                                                   .valueWidth = 256,
                                                   .queryRank = 768,
                                                   .maximumPositions = 202752,
                                                   .epsilon = 1e-5,
                                                   .interleaveKey = "rope_interleave"}));
  KVISTA_CHECK(
      fillSigmoidMixture(config,
                         {.mixture = {.expertsKey = "n_routed_experts", .experts = 64, .perToken = 4, .width = 1536},
                          .denseLayers = 1,
                          .scale = 1.8},
                         layout));
  return layout.description;
}

}  // namespace kvista::families
