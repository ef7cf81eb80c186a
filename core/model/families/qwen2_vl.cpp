// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Qwen 2 VL and 2.5 VL, their text parts: Qwen 2. A token of text has the same position in all parts of their rope.
Result<DecoderDescription> qwen2_vl(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 80, .hidden = 8192, .heads = 64, .intermediate = 29568, .vocabulary = 152064},
                  .kvHeads = 8,
                  .maximumPositions = 32768,
                  .norm = {.epsilon = 1e-5},
                  .rope = RopeConventions{.theta = 1e6}}));
  KVISTA_ASSIGN(const auto window, readSwitchedWindow(config, 4096));
  KVISTA_ASSIGN(const std::int64_t firstSliding, config.integerOr("max_window_layers", 80, 0, kMaximumLayers));
  layout.fillAsLlama({.bias = true});
  KVISTA_CHECK(readSlidingLayers(
      config, window, [&](int layer) { return layer >= firstSliding; }, layout));
  return layout.description;
}

}  // namespace kvista::families
