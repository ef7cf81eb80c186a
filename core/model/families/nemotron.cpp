// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Nemotron and Minitron: Llama's names with LayerNorms whose weights are stored less 1, half of each head rotating, an
/// MLP without a gate.
Result<DecoderDescription> nemotron(const ConfigReader& config) {
  NormConventions norm = layerNorm("norm_eps");
  norm.weightOffset = 1;
  KVISTA_ASSIGN(Layout layout,
                readLayout(config, {.maximumPositions = 4096,
                                    .activation = "relu2",
                                    .norm = norm,
                                    .rope = RopeConventions{
                                        .fraction = 0.5,
                                        .fractionKey = config.firstOf({"partial_rotary_factor", "rope_percent"})}}));
  KVISTA_ASSIGN(const bool attentionBias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const bool mlpBias, config.booleanOr("mlp_bias", false));
  layout.fillAsLlama({.bias = attentionBias, .outputBias = attentionBias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "mlp.up_proj", at + "mlp.down_proj", mlpBias));
  });
  return layout.description;
}

}  // namespace kvista::families
