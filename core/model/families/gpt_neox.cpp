// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// GPT-NeoX and Pythia: q, k and v of a head side by side in one matrix, a quarter of each head rotating; both halves
/// read the same residual stream, each through a LayerNorm of its own.
Result<DecoderDescription> gpt_neox(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeadsKey = "",
                                                   .activation = "gelu",
                                                   .norm = layerNorm("layer_norm_eps"),
                                                   .rope = RopeConventions{.thetaKey = "rotary_emb_base",
                                                                           .fraction = 0.25,
                                                                           .fractionKey = "rotary_pct"}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", true));
  KVISTA_ASSIGN(const bool isParallel, config.booleanOr("use_parallel_residual", true));
  layout.embed("gpt_neox.embed_in", "embed_out");
  layout.eachLayer("gpt_neox.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.arrangement = isParallel ? Arrangement::parallel : Arrangement::sequential;
    layer.attentionNorm = layout.norm(at + "input_layernorm");
    layer.attention =
        layout.fusedAttention(at + "attention.query_key_value", at + "attention.dense", FusedOrder::byGroup, bias);
    layer.feedForwardNorm = layout.norm(at + "post_attention_layernorm");
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "mlp.dense_h_to_4h", at + "mlp.dense_4h_to_h", true));
  });
  layout.description.head.norm = layout.norm("gpt_neox.final_layer_norm");
  return layout.description;
}

}  // namespace kvista::families
