// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// OLMo 3: OLMo 2, in which three of four layers see a window; only the fourth's rope is stretched.
Result<DecoderDescription> olmo3(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout,
                readLayout(config, {.norm = {.epsilon = 1e-5},
                                    .rope = RopeConventions{.theta = 500000, .layerType = "full_attention"}}));
  KVISTA_ASSIGN(const RopeDescription local, readRope(config, layout.description.shape.headDim,
                                                      {.theta = 500000,
                                                       .layerType = "sliding_attention",
                                                       .isScaled = false,
                                                       .maximumPositions = layout.description.maximumPositions}));
  layout.description.ropes.push_back(local);
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const auto window, readWindow(config, 4096));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  KVISTA_CHECK(readSlidingLayers(
      config, window, [](int layer) { return (layer + 1) % 4 != 0; }, layout));
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layout.normAllHeads(at + "self_attn.", layer);
    layout.normAnswers(at, layer);
    if (layer.attention.slidingWindow) layer.attention.rope = 1;
  });
  return layout.description;
}

}  // namespace kvista::families
