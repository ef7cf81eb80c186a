// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// ERNIE 4.5 with experts: ERNIE 4.5, in whose layers of experts a learned correction takes part in choosing them.
Result<DecoderDescription> ernie4_5_moe(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeads = 4,
                                                   .maximumPositions = 131072,
                                                   .isTied = true,
                                                   .norm = {.epsilon = 1e-5},
                                                   .rope = RopeConventions{.theta = 500000, .isInterleaved = true}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("use_bias", false));
  KVISTA_ASSIGN(
      const Mixture mixture,
      readMixture(
          config,
          {.expertsKey = "moe_num_experts", .experts = 64, .perTokenKey = "moe_k", .perToken = 6, .width = 1536},
          layout));
  KVISTA_ASSIGN(const std::int64_t shared,
                config.integerOr("moe_num_shared_experts", 2, 0, kMaximumWidth / mixture.width));
  KVISTA_ASSIGN(const std::int64_t first, config.integerOr("moe_layer_start_index", 1, 0, kMaximumLayers));
  KVISTA_ASSIGN(const std::int64_t end, config.integerOr("moe_layer_end_index", -1, -1, kMaximumLayers));
  KVISTA_ASSIGN(const std::int64_t interval, config.integerOr("moe_layer_interval", 1, 1, kMaximumLayers));
  layout.fillAsLlama({.bias = bias, .outputBias = bias}, bias);
  layout.embed("model.embed_tokens", "lm_head", bias);
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int index) {
    if ((index + 1) % interval != 0 || index < first || (end >= 0 && index > end)) return;
    const auto expert = [&](int number) {
      return layout.gatedMlp(fmt::format("{}mlp.experts.{}.", at, number), mixture.width, false);
    };
    const std::string correction = at + "mlp.moe_statics.e_score_correction_bias";
    layout.description.views[correction + "[row]"] = {.of = correction,
                                                      .isVector = true,
                                                      .block = mixture.experts,
                                                      .stride = mixture.experts,
                                                      .shape = {1, mixture.experts}};
    layer.feedForward = layout.mixture(at + "mlp.gate", mixture, expert, {.correction = correction + "[row]"});
    if (shared > 0)
      layer.feedForward.shared = layout.gatedMlp(at + "mlp.shared_experts.", shared * mixture.width, bias);
  });
  return layout.description;
}

}  // namespace kvista::families
