// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/deepseek.h"

namespace kvista::families {

/// GLM 4.5 to 4.7: Llama's layout with half of each head rotating, experts as DeepSeek-V3's, and norms over each head
/// of q and k on demand.
Result<DecoderDescription> glm4_moe(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 46, .hidden = 4096, .heads = 96, .intermediate = 10944, .vocabulary = 151552},
                  .kvHeads = 8,
                  .maximumPositions = 131072,
                  .norm = {.epsilon = 1e-5},
                  .rope = RopeConventions{.fraction = 0.5, .fractionKey = "partial_rotary_factor"}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const bool normsHeads, config.booleanOr("use_qk_norm", false));
  layout.fillAsLlama({.bias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    if (normsHeads) layout.normHeads(at + "self_attn.", layer);
  });
  KVISTA_CHECK(fillSigmoidMixture(
      config,
      {.mixture = {.expertsKey = "n_routed_experts", .experts = 128, .perToken = 8, .width = 1408}, .denseLayers = 1},
      layout));
  return layout.description;
}

}  // namespace kvista::families
