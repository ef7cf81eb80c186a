// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Phi 1 to 2: one LayerNorm that both halves read, an MLP without a gate, biases everywhere, and half of each head
/// rotating.
Result<DecoderDescription> phi(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 24, .hidden = 2048, .heads = 32, .intermediate = 8192, .vocabulary = 51200},
                  .activation = "gelu_new",
                  .norm = layerNorm("layer_norm_eps"),
                  .rope = RopeConventions{.fraction = 0.5, .fractionKey = "partial_rotary_factor"}}));
  KVISTA_ASSIGN(const bool normsHeads, config.booleanOr("qk_layernorm", false));
  layout.embed("model.embed_tokens", "lm_head", true);
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.arrangement = Arrangement::parallel;
    layer.attentionNorm = layout.norm(at + "input_layernorm");
    layer.attention = layout.attention(at + "self_attn.", {.output = "dense", .bias = true, .outputBias = true});
    if (normsHeads) {
      layer.attention.queryNorm = layout.norm(at + "self_attn.q_layernorm", layout.description.shape.headDim);
      layer.attention.keyNorm = layout.norm(at + "self_attn.k_layernorm", layout.description.shape.headDim);
    }
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "mlp.fc1", at + "mlp.fc2", true));
  });
  layout.description.head.norm = layout.norm("model.final_layernorm");
  return layout.description;
}

}  // namespace kvista::families
