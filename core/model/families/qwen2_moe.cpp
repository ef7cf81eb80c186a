// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Qwen 1.5 and 2 with experts: Qwen 2, in whose layers a token goes to some of many MLPs and to one that is there for
/// all, whose answer a gate of its own weighs.
Result<DecoderDescription> qwen2_moe(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeads = 16, .maximumPositions = 32768}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("qkv_bias", true));
  KVISTA_ASSIGN(const auto window, readSwitchedWindow(config, 4096));
  KVISTA_ASSIGN(const std::int64_t slidingLayers, config.integerOr("max_window_layers", 28, 0, kMaximumLayers));
  KVISTA_ASSIGN(const Mixture mixture, readMixture(config,
                                                   {.expertsKey = config.firstOf({"num_experts", "num_local_experts"}),
                                                    .experts = 60,
                                                    .perToken = 4,
                                                    .width = 1408},
                                                   layout));
  KVISTA_ASSIGN(const std::int64_t sharedWidth,
                config.integerOr("shared_expert_intermediate_size", 5632, 1, kMaximumWidth));
  KVISTA_ASSIGN(const bool renormalises, config.booleanOr("norm_topk_prob", false));
  KVISTA_ASSIGN(const std::vector<bool> isSparse, readSparseLayers(config, layout));
  layout.fillAsLlama({.bias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int index) {
    if (!isSparse[static_cast<std::size_t>(index)]) return;
    const auto expert = [&](int number) {
      return layout.gatedMlp(fmt::format("{}mlp.experts.{}.", at, number), mixture.width, false);
    };
    layer.feedForward = layout.mixture(at + "mlp.gate", mixture, expert, {.renormalises = renormalises});
    layer.feedForward.shared = layout.gatedMlp(at + "mlp.shared_expert.", sharedWidth, false);
    layer.feedForward.sharedGate = linear(at + "mlp.shared_expert_gate", layout.hidden(), 1, false);
  });
  KVISTA_CHECK(readSlidingLayers(
      config, window, [&](int layer) { return layer % 2 == 0 && layer < slidingLayers; }, layout));
  return layout.description;
}

}  // namespace kvista::families
