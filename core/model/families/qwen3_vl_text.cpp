// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Qwen 3 VL, its text part: Qwen 3. A token of text has the same position in all parts of its rope.
Result<DecoderDescription> qwen3_vl_text(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 32, .hidden = 4096, .heads = 32, .intermediate = 22016, .vocabulary = 151936},
                  .kvHeads = 32,
                  .headDim = 128,
                  .maximumPositions = 128000,
                  .rope = RopeConventions{.theta = 500000}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layout.normHeads(at + "self_attn.", layer);
  });
  return layout.description;
}

}  // namespace kvista::families
