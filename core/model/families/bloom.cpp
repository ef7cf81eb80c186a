// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// BLOOM: linear biases (ALiBi) in place of positions, a LayerNorm after the embedding, q, k and v of a head side by
/// side.
Result<DecoderDescription> bloom(const ConfigReader& config) {
  KVISTA_ASSIGN(const bool addsNormed, config.booleanOr("apply_residual_connection_post_layernorm", false));
  if (addsNormed) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{} is true, which is not supported.",
                            config.describeField("apply_residual_connection_post_layernorm")));
  }
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeadsKey = "",
                                                   .intermediateKey = "",
                                                   .isFourfold = true,
                                                   .activationKey = "",
                                                   .activation = "gelu_pytorch_tanh",
                                                   .isTied = true,
                                                   .norm = layerNorm("layer_norm_epsilon"),
                                                   .rope = std::nullopt}));
  layout.embed("transformer.word_embeddings", "lm_head");
  layout.description.embedding.norm = layout.norm("transformer.word_embeddings_layernorm");
  layout.eachLayer("transformer.h.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attentionNorm = layout.norm(at + "input_layernorm");
    layer.attention = layout.fusedAttention(at + "self_attention.query_key_value", at + "self_attention.dense",
                                            FusedOrder::byGroup, true);
    layer.attention.linearBiases = LinearBiases{.slopes = linearBiasSlopes(layout.description.shape.queryHeads)};
    layer.feedForwardNorm = layout.norm(at + "post_attention_layernorm");
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "mlp.dense_h_to_4h", at + "mlp.dense_4h_to_h", true));
  });
  layout.description.head.norm = layout.norm("transformer.ln_f");
  return layout.description;
}

}  // namespace kvista::families
