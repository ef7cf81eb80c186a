// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

Result<Layout> readGranite(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLlama(config));
  KVISTA_ASSIGN(const double residualMultiplier, config.positiveOr("residual_multiplier", 1));
  KVISTA_ASSIGN(const double attentionMultiplier, config.positiveOr("attention_multiplier", 1));
  KVISTA_ASSIGN(const double logitDivisor, config.positiveOr("logits_scaling", 1));
  KVISTA_ASSIGN(layout.description.embedding.multiplier, config.positiveOr("embedding_multiplier", 1));
  layout.description.head.multiplier = 1 / logitDivisor;
  for (LayerDescription& layer : layout.description.layers) {
    layer.residualMultiplier = residualMultiplier;
    layer.attention.scale = attentionMultiplier;
  }
  return layout;
}

/// Granite: Llama's layout with four multipliers, that of the scores in place of 1 / sqrt(head_dim).
Result<DecoderDescription> granite(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readGranite(config));
  return layout.description;
}

}  // namespace kvista::families
