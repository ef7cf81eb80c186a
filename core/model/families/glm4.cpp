// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

namespace {

Result<DecoderDescription> describeWith(const ConfigReader& config, const Conventions& conventions) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, conventions));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", true));
  layout.fillAsLlama({.bias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attentionOutputNorm = layout.norm(at + "post_self_attn_layernorm");
    layer.feedForward = layout.feedForward(layout.fusedGatedMlp(at + "mlp."));
    layer.feedForwardOutputNorm = layout.norm(at + "post_mlp_layernorm");
  });
  return layout.description;
}

}  // namespace

/// GLM 4 of 2025: GLM with norms of what each half answers.
Result<DecoderDescription> glm4(const ConfigReader& config) { return describeWith(config, kGlmConventions); }

/// GLM 4.1V, its text part: GLM 4. A token of text has the same position in all parts of its rope.
Result<DecoderDescription> glm4v_text(const ConfigReader& config) {
  return describeWith(
      config, {.sizes = {.layers = 40, .hidden = 4096, .heads = 32, .intermediate = 13696, .vocabulary = 151552},
               .kvHeads = 2,
               .maximumPositions = 32768,
               .norm = {.epsilon = 1e-5},
               .rope = RopeConventions{.fractionKey = "partial_rotary_factor", .isInterleaved = true}});
}

}  // namespace kvista::families
