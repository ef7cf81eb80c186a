// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Hunyuan, the dense ones: Llama's layout with norms over each head of q and k that come after rope.
Result<DecoderDescription> hunyuan_v1_dense(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.norm = {.epsilon = 1e-5}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attention.queryNorm = layout.norm(at + "self_attn.query_layernorm", layout.description.shape.headDim);
    layer.attention.keyNorm = layout.norm(at + "self_attn.key_layernorm", layout.description.shape.headDim);
    layer.attention.normsAfterRope = true;
  });
  return layout.description;
}

}  // namespace kvista::families
