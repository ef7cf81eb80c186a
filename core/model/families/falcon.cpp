// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Falcon in its three forms. 7B: one head of k and v, both halves read one LayerNorm. 40B and 180B, and 11B: k and v
/// for each group of queries, and a LayerNorm for each half, or one. RW: as many heads of k and v as of q, linear
/// biases (ALiBi) that are scaled with the scores, and one half after the other.
Result<DecoderDescription> falcon(const ConfigReader& config) {
  KVISTA_ASSIGN(const bool isGrouped, config.booleanOr("new_decoder_architecture", false));
  KVISTA_ASSIGN(const bool isMultiQuery, config.booleanOr("multi_query", true));
  KVISTA_ASSIGN(const bool isParallel, config.booleanOr("parallel_attn", true));
  KVISTA_ASSIGN(const bool hasBias, config.booleanOr("bias", false));
  KVISTA_ASSIGN(const bool hasLinearBiases, config.booleanOr("alibi", false));
  KVISTA_ASSIGN(const std::int64_t parallelNorms, config.integerOr("num_ln_in_parallel_attn", isGrouped ? 2 : 1, 1, 2));
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config, {.kvHeadsKey = isGrouped ? "num_kv_heads" : "",
                          .kvHeads = !isGrouped && isMultiQuery ? std::optional<std::int64_t>(1) : std::nullopt,
                          .intermediateKey = "ffn_hidden_size",
                          .isFourfold = true,
                          .activationKey = "activation",
                          .activation = "gelu",
                          .isTied = true,
                          .norm = layerNorm("layer_norm_epsilon"),
                          .rope = hasLinearBiases ? std::nullopt : std::optional(RopeConventions{})}));
  layout.embed("transformer.word_embeddings", "lm_head");
  layout.eachLayer("transformer.h.", [&](const std::string& at, LayerDescription& layer, int) {
    const bool areApart = isGrouped && parallelNorms == 2;
    layer.arrangement = isGrouped || isParallel ? Arrangement::parallel : Arrangement::sequential;
    layer.attentionNorm = layout.norm(at + (areApart ? "ln_attn" : "input_layernorm"));
    layer.attention = layout.fusedAttention(at + "self_attention.query_key_value", at + "self_attention.dense",
                                            FusedOrder::byGroup, hasBias);
    if (hasLinearBiases) {
      layer.attention.linearBiases = LinearBiases{.slopes = linearBiasSlopes(layout.description.shape.queryHeads),
                                                  .isBeforeScale = true,
                                                  .isRoundedToBfloat16 = true};
    }
    if (areApart) layer.feedForwardNorm = layout.norm(at + "ln_mlp");
    if (layer.arrangement == Arrangement::sequential)
      layer.feedForwardNorm = layout.norm(at + "post_attention_layernorm");
    layer.feedForward =
        layout.feedForward(layout.plainMlp(at + "mlp.dense_h_to_4h", at + "mlp.dense_4h_to_h", hasBias));
  });
  layout.description.head.norm = layout.norm("transformer.ln_f");
  return layout.description;
}

}  // namespace kvista::families
