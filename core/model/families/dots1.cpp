// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/deepseek.h"

namespace kvista::families {

/// dots.llm1: Qwen 3's attention, and experts as DeepSeek-V3's.
Result<DecoderDescription> dots1(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeads = 32}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const auto window, readWindow(config, 4096));
  KVISTA_ASSIGN(const std::int64_t firstSliding, config.integerOr("max_window_layers", 62, 0, kMaximumLayers));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layout.normHeads(at + "self_attn.", layer);
  });
  KVISTA_CHECK(readSlidingLayers(
      config, window, [&](int layer) { return layer >= firstSliding; }, layout));
  KVISTA_CHECK(
      fillSigmoidMixture(config, {.mixture = {.expertsKey = "n_routed_experts"}, .renormalises = false}, layout));
  return layout.description;
}

}  // namespace kvista::families
