// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/llama_layout.h"

namespace kvista::families {

/// Mistral: Llama's layout with one sliding window for all layers. An absent sliding_window is 4096, null is none.
Result<DecoderDescription> mistral(const ConfigReader& config) {
  KVISTA_ASSIGN(DecoderDescription description,
                describeLlamaLayout(config, {.kvHeads = 8, .maximumPositions = 131072}));
  KVISTA_ASSIGN(const std::int64_t window,
                config.integerOr("sliding_window", config.isNull("sliding_window") ? 0 : 4096, 1, kMaximumPositions));
  if (window > 0) {
    for (LayerDescription& layer : description.layers) layer.attention.slidingWindow = window;
  }
  return description;
}

}  // namespace kvista::families
