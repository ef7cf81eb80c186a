// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Mixtral: Mistral, in whose layers a token goes to some of several MLPs, their weights divided by their sum.
Result<DecoderDescription> mixtral(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 32, .hidden = 4096, .heads = 32, .intermediate = 14336, .vocabulary = 32000},
                  .kvHeads = 8,
                  .maximumPositions = 131072,
                  .norm = {.epsilon = 1e-5},
                  .rope = RopeConventions{.theta = 1e6}}));
  KVISTA_ASSIGN(const auto window, readWindow(config, std::nullopt));
  KVISTA_ASSIGN(
      const Mixture mixture,
      readMixture(config,
                  {.expertsKey = "num_local_experts", .experts = 8, .perToken = 2, .widthKey = "intermediate_size"},
                  layout));
  layout.fillAsLlama();
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attention.slidingWindow = window;
    layer.feedForward = layout.mixture(at + "block_sparse_moe.gate", mixture, [&](int expert) {
      const std::string name = fmt::format("{}block_sparse_moe.experts.{}.", at, expert);
      return MlpDescription{.gate = linear(name + "w1", layout.hidden(), mixture.width, false),
                            .up = linear(name + "w3", layout.hidden(), mixture.width, false),
                            .down = linear(name + "w2", mixture.width, layout.hidden(), false)};
    });
  });
  return layout.description;
}

}  // namespace kvista::families
