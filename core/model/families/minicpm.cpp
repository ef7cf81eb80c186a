// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "core/model/families/layout.h"

namespace kvista::families {

/// MiniCPM 1, 2 and 4: Llama's layout with three multipliers.
Result<DecoderDescription> minicpm(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.isTied = true}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(layout.description.embedding.multiplier, config.positiveOr("scale_emb", 1));
  KVISTA_ASSIGN(const double base, config.positiveOr("dim_model_base", 1));
  KVISTA_ASSIGN(const double depth, config.positiveOr("scale_depth", 1));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.description.head.multiplier = base / static_cast<double>(layout.hidden());
  for (LayerDescription& layer : layout.description.layers)
    layer.residualMultiplier = depth / std::sqrt(static_cast<double>(layout.description.shape.layers));
  return layout.description;
}

}  // namespace kvista::families
