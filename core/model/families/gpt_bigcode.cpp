// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// StarCoder 1: GPT-2 with matrices stored as usual and, unless multi_query is off, one head of k and v for all
/// queries.
Result<DecoderDescription> gpt_bigcode(const ConfigReader& config) {
  KVISTA_ASSIGN(const bool isMultiQuery, config.booleanOr("multi_query", true));
  KVISTA_ASSIGN(Layout layout,
                readLayout(config, {.kvHeadsKey = "",
                                    .kvHeads = isMultiQuery ? std::optional<std::int64_t>(1) : std::nullopt,
                                    .intermediateKey = "n_inner",
                                    .isFourfold = true,
                                    .maximumPositions = 1024,
                                    .activationKey = "activation_function",
                                    .activation = "gelu_pytorch_tanh",
                                    .isTied = true,
                                    .norm = layerNorm("layer_norm_epsilon"),
                                    .rope = std::nullopt}));
  KVISTA_ASSIGN(const bool isScaled, config.booleanOr("scale_attn_weights", true));
  layout.embed("transformer.wte", "lm_head");
  layout.description.embedding.positions = "transformer.wpe.weight";
  layout.eachLayer("transformer.h.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attentionNorm = layout.norm(at + "ln_1");
    layer.attention = layout.fusedAttention(at + "attn.c_attn", at + "attn.c_proj", FusedOrder::byGroup, true);
    if (!isScaled) layer.attention.scale = 1;
    layer.feedForwardNorm = layout.norm(at + "ln_2");
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "mlp.c_fc", at + "mlp.c_proj", true));
  });
  layout.description.head.norm = layout.norm("transformer.ln_f");
  return layout.description;
}

}  // namespace kvista::families
