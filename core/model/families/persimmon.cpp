// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Persimmon: q, k and v of a head side by side in one matrix, half of each head rotating after LayerNorms over q and
/// k, an MLP without a gate, biases everywhere but in the head.
Result<DecoderDescription> persimmon(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 36, .hidden = 4096, .heads = 64, .intermediate = 16384, .vocabulary = 262144},
                  .kvHeadsKey = "",
                  .maximumPositions = 16384,
                  .activation = "relu2",
                  .norm = layerNorm("layer_norm_eps"),
                  .rope = RopeConventions{.fraction = 0.5, .fractionKey = "partial_rotary_factor"}}));
  KVISTA_ASSIGN(const bool normsHeads, config.booleanOr("qk_layernorm", true));
  layout.embed("model.embed_tokens", "lm_head");
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attentionNorm = layout.norm(at + "input_layernorm");
    layer.attention =
        layout.fusedAttention(at + "self_attn.query_key_value", at + "self_attn.dense", FusedOrder::byGroup, true);
    if (normsHeads) {
      layer.attention.queryNorm = layout.norm(at + "self_attn.q_layernorm", layout.description.shape.headDim);
      layer.attention.keyNorm = layout.norm(at + "self_attn.k_layernorm", layout.description.shape.headDim);
    }
    layer.feedForwardNorm = layout.norm(at + "post_attention_layernorm");
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "mlp.dense_h_to_4h", at + "mlp.dense_4h_to_h", true));
  });
  layout.description.head.norm = layout.norm("model.final_layernorm");
  return layout.description;
}

}  // namespace kvista::families
