// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Arcee's AFM: Llama's layout with an MLP without a gate.
Result<DecoderDescription> arcee(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout,
                readLayout(config, {.maximumPositions = 4096, .activation = "relu2", .norm = {.epsilon = 1e-5}}));
  KVISTA_ASSIGN(const bool attentionBias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const bool mlpBias, config.booleanOr("mlp_bias", false));
  layout.fillAsLlama({.bias = attentionBias, .outputBias = attentionBias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "mlp.up_proj", at + "mlp.down_proj", mlpBias));
  });
  return layout.description;
}

}  // namespace kvista::families
