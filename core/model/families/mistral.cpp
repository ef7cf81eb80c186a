// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Mistral: Llama's layout with one sliding window for all layers. An absent sliding_window is 4096, null is none.
Result<DecoderDescription> mistral(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 32, .hidden = 4096, .heads = 32, .intermediate = 14336, .vocabulary = 32000},
                  .kvHeads = 8,
                  .maximumPositions = 131072}));
  KVISTA_ASSIGN(const auto window, readWindow(config, 4096));
  layout.fillAsLlama();
  for (LayerDescription& layer : layout.description.layers) layer.attention.slidingWindow = window;
  return layout.description;
}

}  // namespace kvista::families
