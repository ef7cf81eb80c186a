// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// GPT-2: learned positions, LayerNorms, all q, k and v in one matrix, biases everywhere, and matrices stored as [in,
/// out].
Result<DecoderDescription> gpt2(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeadsKey = "",
                                                   .intermediateKey = "n_inner",
                                                   .isFourfold = true,
                                                   .maximumPositions = 1024,
                                                   .activationKey = "activation_function",
                                                   .activation = "gelu_new",
                                                   .isTied = true,
                                                   .norm = layerNorm("layer_norm_epsilon"),
                                                   .rope = std::nullopt}));
  KVISTA_ASSIGN(const bool isScaled, config.booleanOr("scale_attn_weights", true));
  KVISTA_ASSIGN(const bool isScaledByLayer, config.booleanOr("scale_attn_by_inverse_layer_idx", false));
  layout.embed("transformer.wte", "lm_head");
  layout.description.embedding.positions = "transformer.wpe.weight";
  layout.eachLayer("transformer.h.", [&](const std::string& at, LayerDescription& layer, int index) {
    layer.attentionNorm = layout.norm(at + "ln_1");
    layer.attention = layout.fusedAttention(at + "attn.c_attn", at + "attn.c_proj", FusedOrder::byProjection, true,
                                            /*isTransposed=*/true);
    if (!isScaled) layer.attention.scale = 1;
    if (isScaledByLayer) layer.attention.scale /= index + 1;
    layer.feedForwardNorm = layout.norm(at + "ln_2");
    layer.feedForward =
        layout.feedForward({.gate = {},
                            .up = layout.transposed(at + "mlp.c_fc", layout.hidden(), layout.intermediate),
                            .down = layout.transposed(at + "mlp.c_proj", layout.intermediate, layout.hidden())});
  });
  layout.description.head.norm = layout.norm("transformer.ln_f");
  return layout.description;
}

}  // namespace kvista::families
