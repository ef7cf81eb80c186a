// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/llama_layout.h"

namespace kvista::families {

/// Qwen 2 and 2.5: biases on q, k and v, never on o, whatever the configuration says.
Result<DecoderDescription> qwen2(const ConfigReader& config) {
  KVISTA_ASSIGN(DecoderDescription description,
                describeLlamaLayout(config, {.kvHeads = 32, .maximumPositions = 32768, .queryKeyValueBias = true}));
  KVISTA_CHECK(readQwenWindows(config, description));
  return description;
}

}  // namespace kvista::families
