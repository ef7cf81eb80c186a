// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// InternLM 2 and 2.5: Llama under Meta's names; of each key head its queries, its key and its value stand side by side
/// in one matrix.
Result<DecoderDescription> internlm2(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.norm = {.epsilon = 1e-6}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("bias", false));
  layout.embed("model.tok_embeddings", "output");
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attentionNorm = layout.norm(at + "attention_norm");
    layer.attention = layout.fusedAttention(at + "attention.wqkv", at + "attention.wo", FusedOrder::byGroup, bias);
    layer.feedForwardNorm = layout.norm(at + "ffn_norm");
    layer.feedForward =
        layout.feedForward({.gate = linear(at + "feed_forward.w1", layout.hidden(), layout.intermediate, false),
                            .up = linear(at + "feed_forward.w3", layout.hidden(), layout.intermediate, false),
                            .down = linear(at + "feed_forward.w2", layout.intermediate, layout.hidden(), false)});
  });
  layout.description.head.norm = layout.norm("model.norm");
  return layout.description;
}

}  // namespace kvista::families
