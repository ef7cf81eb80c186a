// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Phi-3 and Phi-4: Llama's block with q, k and v in one matrix, and gate and up in another.
Result<DecoderDescription> phi3(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 32, .hidden = 3072, .heads = 32, .intermediate = 8192, .vocabulary = 32064},
                  .maximumPositions = 4096,
                  .norm = {.epsilon = 1e-5},
                  .rope = RopeConventions{.fractionKey = "partial_rotary_factor", .isPhi3 = true}}));
  KVISTA_ASSIGN(const auto window, readWindow(config, std::nullopt));
  layout.fillAsLlama();
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attention =
        layout.fusedAttention(at + "self_attn.qkv_proj", at + "self_attn.o_proj", FusedOrder::byProjection, false);
    layer.attention.slidingWindow = window;
    layer.feedForward = layout.feedForward(layout.fusedGatedMlp(at + "mlp."));
  });
  return layout.description;
}

}  // namespace kvista::families
