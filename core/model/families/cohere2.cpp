// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Cohere's Command R7B and A: Command R, in which three of four layers see a window and the fourth everything, without
/// rope.
Result<DecoderDescription> cohere2(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 40, .hidden = 8192, .heads = 64, .intermediate = 22528, .vocabulary = 256000},
                  .maximumPositions = 8192,
                  .isTied = true,
                  .norm = {.kind = NormKind::layer, .epsilonKey = "layer_norm_eps", .epsilon = 1e-5},
                  .rope = RopeConventions{.isInterleaved = true}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const auto window, readWindow(config, 4096));
  KVISTA_ASSIGN(const std::int64_t pattern, config.integerOr("sliding_window_pattern", 4, 1, kMaximumLayers));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string&, LayerDescription& layer, int) {
    layer.arrangement = Arrangement::parallel;
    layer.feedForwardNorm = std::nullopt;
  });
  KVISTA_CHECK(readSlidingLayers(
      config, window, [&](int layer) { return (layer + 1) % pattern != 0; }, layout));
  for (LayerDescription& layer : layout.description.layers)
    if (!layer.attention.slidingWindow) layer.attention.rope = std::nullopt;
  KVISTA_ASSIGN(layout.description.head.multiplier, config.positiveOr("logit_scale", 0.0625));
  return layout.description;
}

}  // namespace kvista::families
