// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/llama_layout.h"

namespace kvista::families {

/// Llama 1 to 3 and everything that calls itself so.
Result<DecoderDescription> llama(const ConfigReader& config) {
  LlamaVariant variant;
  KVISTA_ASSIGN(const bool attentionBias, config.booleanOr("attention_bias", false));
  variant.queryKeyValueBias = attentionBias;
  variant.outputBias = attentionBias;
  KVISTA_ASSIGN(variant.mlpBias, config.booleanOr("mlp_bias", false));
  return describeLlamaLayout(config, variant);
}

}  // namespace kvista::families
