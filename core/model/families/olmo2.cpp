// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// OLMo 2: Llama's layout, but each half's answer is normed and not what it reads, and so are all heads of q and of k
/// together.
Result<DecoderDescription> olmo2(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.norm = {.epsilon = 1e-5}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layout.normAllHeads(at + "self_attn.", layer);
    layout.normAnswers(at, layer);
  });
  return layout.description;
}

}  // namespace kvista::families
