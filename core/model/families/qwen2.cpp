// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Qwen 2 and 2.5: biases on q, k and v, never on o, whatever the configuration says; windows from layer
/// max_window_layers on, where they are switched on.
Result<DecoderDescription> qwen2(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 32, .hidden = 4096, .heads = 32, .intermediate = 22016, .vocabulary = 151936},
                  .kvHeads = 32,
                  .maximumPositions = 32768}));
  KVISTA_ASSIGN(const auto window, readSwitchedWindow(config, 4096));
  KVISTA_ASSIGN(const std::int64_t firstSliding, config.integerOr("max_window_layers", 28, 0, kMaximumLayers));
  layout.fillAsLlama({.bias = true});
  KVISTA_CHECK(readSlidingLayers(
      config, window, [&](int layer) { return layer >= firstSliding; }, layout));
  return layout.description;
}

}  // namespace kvista::families
