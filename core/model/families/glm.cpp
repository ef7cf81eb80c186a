// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// GLM 4 of 2024: Llama's layout with gate and up in one matrix, biases on q, k and v, and half of each head rotating
/// as pairs of neighbours.
Result<DecoderDescription> glm(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, kGlmConventions));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", true));
  layout.fillAsLlama({.bias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.feedForward = layout.feedForward(layout.fusedGatedMlp(at + "mlp."));
  });
  return layout.description;
}

}  // namespace kvista::families
