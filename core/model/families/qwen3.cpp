// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Qwen 3 (dense): RMS norms over each head of q and k; head_dim is 128 unless given.
Result<DecoderDescription> qwen3(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 32, .hidden = 4096, .heads = 32, .intermediate = 22016, .vocabulary = 151936},
                  .kvHeads = 32,
                  .headDim = 128,
                  .maximumPositions = 32768}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const auto window, readSwitchedWindow(config, 4096));
  KVISTA_ASSIGN(const std::int64_t firstSliding, config.integerOr("max_window_layers", 28, 0, kMaximumLayers));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layout.normHeads(at + "self_attn.", layer);
  });
  KVISTA_CHECK(readSlidingLayers(
      config, window, [&](int layer) { return layer >= firstSliding; }, layout));
  return layout.description;
}

}  // namespace kvista::families
