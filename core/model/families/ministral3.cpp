// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Ministral 3: Mistral, whose queries grow with their place beyond the trained length.
Result<DecoderDescription> ministral3(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 34, .hidden = 4096, .heads = 32, .intermediate = 14336, .vocabulary = 131072},
                  .kvHeads = 8,
                  .headDim = 128,
                  .maximumPositions = 262144,
                  .norm = {.epsilon = 1e-5},
                  .rope = RopeConventions{.theta = 1e6}}));
  KVISTA_ASSIGN(const auto window, readWindow(config, std::nullopt));
  KVISTA_ASSIGN(const ConfigReader rope, config.object(config.firstOf({"rope_parameters", "rope_scaling"})));
  KVISTA_ASSIGN(const double rate, rope.nonNegativeOr("llama_4_scaling_beta", 0));
  KVISTA_ASSIGN(const std::int64_t every, rope.integerOr("original_max_position_embeddings",
                                                         layout.description.maximumPositions, 1, kMaximumPositions));
  layout.fillAsLlama();
  for (LayerDescription& layer : layout.description.layers) {
    layer.attention.slidingWindow = window;
    if (rate > 0) layer.attention.queryGrowth = QueryGrowth{rate, every};
  }
  return layout.description;
}

}  // namespace kvista::families
