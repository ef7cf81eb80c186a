// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// OLMoE: Llama's layout with norms over all heads of q and of k, and layers of experts.
Result<DecoderDescription> olmoe(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.maximumPositions = 4096, .norm = {.epsilon = 1e-5}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const double clip, config.nonNegativeOr("clip_qkv", 0));
  if (clip > 0)
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{} is {}; queries and keys that are clamped after their norms "
                            "are not supported, only null.",
                            config.describeField("clip_qkv"), clip));
  KVISTA_ASSIGN(const Mixture mixture, readMixture(config,
                                                   {.expertsKey = config.firstOf({"num_experts", "num_local_experts"}),
                                                    .experts = 64,
                                                    .perToken = 8,
                                                    .widthKey = "intermediate_size"},
                                                   layout));
  KVISTA_ASSIGN(const bool renormalises, config.booleanOr("norm_topk_prob", false));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layout.normAllHeads(at + "self_attn.", layer);
    const auto expert = [&](int number) {
      return layout.gatedMlp(fmt::format("{}mlp.experts.{}.", at, number), mixture.width, false);
    };
    layer.feedForward = layout.mixture(at + "mlp.gate", mixture, expert, {.renormalises = renormalises});
  });
  return layout.description;
}

}  // namespace kvista::families
