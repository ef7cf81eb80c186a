// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// StarCoder 2: Llama's names with LayerNorms, an MLP without a gate, biases, and one window for all layers.
Result<DecoderDescription> starcoder2(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeads = 2,
                                                   .maximumPositions = 4096,
                                                   .activation = "gelu_pytorch_tanh",
                                                   .isTied = true,
                                                   .norm = layerNorm("norm_epsilon")}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("use_bias", true));
  KVISTA_ASSIGN(const auto window, readWindow(config, std::nullopt));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attention.slidingWindow = window;
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "mlp.c_fc", at + "mlp.c_proj", bias));
  });
  return layout.description;
}

}  // namespace kvista::families
