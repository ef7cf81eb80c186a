// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// InternLM 3: Llama's layout; the output projection has biases with the MLP, not with q, k and v.
Result<DecoderDescription> internlm3(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config, {.kvHeads = 2, .headDim = 128, .maximumPositions = 32768, .norm = {.epsilon = 1e-5}}));
  KVISTA_ASSIGN(const bool attentionBias, config.booleanOr(config.firstOf({"qkv_bias", "attention_bias"}), false));
  KVISTA_ASSIGN(const bool bias, config.booleanOr(config.firstOf({"bias", "mlp_bias"}), false));
  layout.fillAsLlama({.bias = attentionBias, .outputBias = bias}, bias);
  return layout.description;
}

}  // namespace kvista::families
