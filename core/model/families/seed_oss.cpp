// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Seed-OSS: Llama's layout with biases of q, k and v, and of o where it says so.
Result<DecoderDescription> seed_oss(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeads = 8, .headDim = 128, .maximumPositions = 524288}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", true));
  KVISTA_ASSIGN(const bool outputBias, config.booleanOr("attention_out_bias", false));
  KVISTA_ASSIGN(const bool mlpBias, config.booleanOr("mlp_bias", false));
  layout.fillAsLlama({.bias = bias, .outputBias = outputBias}, mlpBias);
  return layout.description;
}

}  // namespace kvista::families
