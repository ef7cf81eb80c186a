// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Qwen 3 with experts: Qwen 3, in whose layers a token goes to some of many MLPs, but for the layers that say
/// otherwise.
Result<DecoderDescription> qwen3_moe(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeads = 4, .maximumPositions = 32768}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const auto window, readSwitchedWindow(config, 4096));
  KVISTA_ASSIGN(const Mixture mixture, readMixture(config,
                                                   {.expertsKey = config.firstOf({"num_experts", "num_local_experts"}),
                                                    .experts = 128,
                                                    .perToken = 8,
                                                    .width = 768},
                                                   layout));
  KVISTA_ASSIGN(const bool renormalises, config.booleanOr("norm_topk_prob", false));
  KVISTA_ASSIGN(const std::vector<bool> isSparse, readSparseLayers(config, layout));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int index) {
    layout.normHeads(at + "self_attn.", layer);
    layer.attention.slidingWindow = window;
    if (!isSparse[static_cast<std::size_t>(index)]) return;
    const auto expert = [&](int number) {
      return layout.gatedMlp(fmt::format("{}mlp.experts.{}.", at, number), mixture.width, false);
    };
    layer.feedForward = layout.mixture(at + "mlp.gate", mixture, expert, {.renormalises = renormalises});
  });
  return layout.description;
}

}  // namespace kvista::families
