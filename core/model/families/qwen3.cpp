// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/llama_layout.h"

namespace kvista::families {

/// Qwen 3 (dense): RMS norms over each head of q and k; head_dim is 128 unless given.
Result<DecoderDescription> qwen3(const ConfigReader& config) {
  LlamaVariant variant{.kvHeads = 32, .headDim = 128, .maximumPositions = 32768, .headNorms = true};
  KVISTA_ASSIGN(const bool attentionBias, config.booleanOr("attention_bias", false));
  variant.queryKeyValueBias = attentionBias;
  variant.outputBias = attentionBias;
  KVISTA_ASSIGN(DecoderDescription description, describeLlamaLayout(config, variant));
  KVISTA_CHECK(readQwenWindows(config, description));
  return description;
}

}  // namespace kvista::families
