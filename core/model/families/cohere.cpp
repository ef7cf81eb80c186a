// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Cohere's Command R: Llama's names; both halves read one LayerNorm without bias, rotated pairs are neighbours, and
/// logits have a multiplier. With use_qk_norm each head of q and k has a norm with weights of its own.
Result<DecoderDescription> cohere(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 40, .hidden = 8192, .heads = 64, .intermediate = 22528, .vocabulary = 256000},
                  .maximumPositions = 8192,
                  .isTied = true,
                  .norm = {.kind = NormKind::layer, .epsilonKey = "layer_norm_eps", .epsilon = 1e-5},
                  .rope = RopeConventions{.theta = 500000, .isInterleaved = true}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const bool normsHeads, config.booleanOr("use_qk_norm", false));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.arrangement = Arrangement::parallel;
    layer.feedForwardNorm = std::nullopt;
    if (!normsHeads) return;
    layout.normHeads(at + "self_attn.", layer);
    layer.attention.queryNorm->heads = layout.description.shape.queryHeads;
    layer.attention.keyNorm->heads = layout.description.shape.kvHeads;
  });
  KVISTA_ASSIGN(layout.description.head.multiplier, config.positiveOr("logit_scale", 0.0625));
  return layout.description;
}

}  // namespace kvista::families
