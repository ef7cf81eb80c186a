// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// OLMo: Llama's layout with norms that have no weights, and queries, keys and values clamped to +-clip_qkv.
Result<DecoderDescription> olmo(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config, {.norm = {.kind = NormKind::layer, .epsilonKey = "", .epsilon = 1e-5, .hasWeight = false}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const double clip, config.nonNegativeOr("clip_qkv", 0));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  for (LayerDescription& layer : layout.description.layers) layer.attention.clip = clip;
  return layout.description;
}

}  // namespace kvista::families
