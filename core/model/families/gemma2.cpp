// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Gemma 2: Gemma with norms of what each half answers, capped scores and logits, a scale of its own, and a window in
/// every second layer, the first included.
Result<DecoderDescription> gemma2(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 26, .hidden = 2304, .heads = 8, .intermediate = 9216, .vocabulary = 256000},
                  .kvHeads = 4,
                  .headDim = 256,
                  .maximumPositions = 8192,
                  .activationKey = "hidden_activation",
                  .activation = "gelu_pytorch_tanh",
                  .isTied = true,
                  .norm = {.weightOffset = 1}}));
  KVISTA_ASSIGN(const auto window, readWindow(config, 4096));
  KVISTA_CHECK(fillAsGemma2(config, {.scores = 50, .logits = 30}, layout));
  KVISTA_CHECK(readSlidingLayers(
      config, window, [](int layer) { return layer % 2 == 0; }, layout));
  return layout.description;
}

}  // namespace kvista::families
