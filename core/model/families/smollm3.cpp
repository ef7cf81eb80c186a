// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// SmolLM 3: Llama's layout; some layers have no rope, by a list of ones and zeros or every fourth.
Result<DecoderDescription> smollm3(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 36, .hidden = 2048, .heads = 16, .intermediate = 11008, .vocabulary = 128256},
                  .kvHeads = 4,
                  .maximumPositions = 32768,
                  .isTied = true,
                  .rope = RopeConventions{.theta = 2e6}}));
  KVISTA_ASSIGN(const bool attentionBias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const bool mlpBias, config.booleanOr("mlp_bias", false));
  KVISTA_ASSIGN(const auto window, readSwitchedWindow(config, std::nullopt));
  KVISTA_ASSIGN(const std::int64_t interval, config.integerOr("no_rope_layer_interval", 4, 1, kMaximumLayers));
  std::vector<std::int64_t> rotates;
  if (config.has("no_rope_layers")) {
    KVISTA_ASSIGN(rotates, config.integerList("no_rope_layers", 0, 1, layout.description.layers.size()));
  }
  layout.fillAsLlama({.bias = attentionBias, .outputBias = attentionBias}, mlpBias);
  const auto hasRope = [&](int layer) {
    return rotates.empty() ? (layer + 1) % interval != 0 : rotates[static_cast<std::size_t>(layer)] == 1;
  };
  layout.eachLayer("model.layers.", [&](const std::string&, LayerDescription& layer, int index) {
    if (!hasRope(index)) layer.attention.rope = std::nullopt;
  });
  KVISTA_CHECK(readSlidingLayers(
      config, window, [&](int layer) { return !hasRope(layer); }, layout));
  return layout.description;
}

}  // namespace kvista::families
