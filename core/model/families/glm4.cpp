// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// GLM 4 of 2025: GLM with norms of what each half answers.
Result<DecoderDescription> glm4(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, kGlmConventions));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", true));
  layout.fillAsLlama({.bias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attentionOutputNorm = layout.norm(at + "post_self_attn_layernorm");
    layer.feedForward = layout.feedForward(layout.fusedGatedMlp(at + "mlp."));
    layer.feedForwardOutputNorm = layout.norm(at + "post_mlp_layernorm");
  });
  return layout.description;
}

}  // namespace kvista::families
