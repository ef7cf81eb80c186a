// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "core/model/families/layout.h"

namespace kvista::families {

/// Gemma: Llama's layout, but norms hold what to add to 1, embeddings are multiplied by sqrt(hidden size), and "gelu"
/// has always meant its tanh form.
Result<DecoderDescription> gemma(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 28, .hidden = 3072, .heads = 16, .intermediate = 24576, .vocabulary = 256000},
                  .kvHeads = 16,
                  .headDim = 256,
                  .maximumPositions = 8192,
                  .activation = "gelu_pytorch_tanh",
                  .isTied = true,
                  .norm = {.weightOffset = 1}}));
  if (layout.activation == Activation::gelu) layout.activation = Activation::geluTanh;
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.description.embedding.multiplier = std::sqrt(static_cast<double>(layout.hidden()));
  return layout.description;
}

}  // namespace kvista::families
