// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Qwen 3 VL with experts, its text part: Qwen 3 with experts, whose matrices lie in stacks, as [in, out].
Result<DecoderDescription> qwen3_vl_moe_text(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 24, .hidden = 2048, .heads = 16, .intermediate = 5632, .vocabulary = 151936},
                  .kvHeads = 16,
                  .maximumPositions = 128000,
                  .rope = RopeConventions{.theta = 500000}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const Mixture mixture, readMixture(config,
                                                   {.expertsKey = config.firstOf({"num_experts", "num_local_experts"}),
                                                    .experts = 60,
                                                    .perToken = 4,
                                                    .width = 1408},
                                                   layout));
  KVISTA_ASSIGN(const std::vector<bool> isSparse, readSparseLayers(config, layout));
  const std::int64_t hidden = layout.hidden(), width = mixture.width;
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int index) {
    layout.normHeads(at + "self_attn.", layer);
    if (!isSparse[static_cast<std::size_t>(index)]) return;
    const auto rows = [&](std::string_view tensor, std::string_view part, int expert, std::int64_t first,
                          std::int64_t in, std::int64_t out, std::int64_t all) {
      return layout.ofStack(
          fmt::format("{}mlp.experts.{}", at, tensor), part, expert,
          {.isTransposed = true, .first = first, .block = out, .stride = out, .shape = {mixture.experts, in, all}}, in);
    };
    layer.feedForward = layout.mixture(at + "mlp.gate", mixture, [&](int expert) {
      return MlpDescription{.gate = rows("gate_up_proj", "gate", expert, 0, hidden, width, 2 * width),
                            .up = rows("gate_up_proj", "up", expert, width, hidden, width, 2 * width),
                            .down = rows("down_proj", "down", expert, 0, width, hidden, hidden)};
    });
  });
  return layout.description;
}

}  // namespace kvista::families
