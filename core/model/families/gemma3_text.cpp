// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Gemma 3, its text part: Gemma 2 without caps, with norms over each head of q and k; every sixth layer sees
/// everything, with a slower rope, the others a window.
Result<DecoderDescription> gemma3_text(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 26, .hidden = 2304, .heads = 8, .intermediate = 9216, .vocabulary = 262208},
                  .kvHeads = 4,
                  .headDim = 256,
                  .maximumPositions = 131072,
                  .activationKey = "hidden_activation",
                  .activation = "gelu_pytorch_tanh",
                  .isTied = true,
                  .norm = {.weightOffset = 1},
                  .rope = RopeConventions{.theta = 1e6, .layerType = "full_attention"}}));
  KVISTA_ASSIGN(const RopeDescription local, readRope(config, layout.description.shape.headDim,
                                                      {.thetaKey = "rope_local_base_freq",
                                                       .layerType = "sliding_attention",
                                                       .isScaled = false,
                                                       .maximumPositions = layout.description.maximumPositions}));
  layout.description.ropes.push_back(local);
  KVISTA_ASSIGN(const auto window, readWindow(config, 4096));
  const std::string_view patternKey = config.firstOf({"sliding_window_pattern", "_sliding_window_pattern"});
  KVISTA_ASSIGN(const std::int64_t pattern, config.integerOr(patternKey, 6, 1, kMaximumLayers));
  KVISTA_CHECK(fillAsGemma2(config, {}, layout));
  KVISTA_CHECK(readSlidingLayers(
      config, window.value_or(kMaximumPositions), [&](int layer) { return (layer + 1) % pattern != 0; }, layout));
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layout.normHeads(at + "self_attn.", layer);
    if (layer.attention.slidingWindow) layer.attention.rope = 1;
  });
  return layout.description;
}

}  // namespace kvista::families
