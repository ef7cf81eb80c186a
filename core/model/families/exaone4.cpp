// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/model/families/layout.h"

namespace kvista::families {

/// EXAONE 4: Llama's layout with norms over each head of q and k and of what each half answers. Where there are
/// windows, every fourth layer sees everything, without rope.
Result<DecoderDescription> exaone4(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeads = 32, .norm = {.epsilon = 1e-5}}));
  KVISTA_ASSIGN(const auto window, readWindow(config, 4096));
  std::string pattern;  // "LLLG", or how many layers there are from one that sees everything to the next
  if (config.isText("sliding_window_pattern")) {
    KVISTA_ASSIGN(pattern, config.stringOr("sliding_window_pattern", ""));
  } else {
    KVISTA_ASSIGN(const std::int64_t period, config.integerOr("sliding_window_pattern", 4, 0, kMaximumLayers));
    pattern = std::string(static_cast<std::size_t>(std::max<std::int64_t>(period - 1, 0)), 'L') + 'G';
  }
  if (pattern.empty() || pattern.find_first_not_of("LG") != std::string::npos)
    return fail(ErrorCode::corruptFile, fmt::format("{} is '{}'; it must be a number or a text of L and G.",
                                                    config.describeField("sliding_window_pattern"), pattern));
  layout.fillAsLlama();
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layout.normHeads(at + "self_attn.", layer);
    layout.normAnswers(at, layer);
  });
  const auto last = layout.description.shape.layers - 1;
  KVISTA_CHECK(readSlidingLayers(
      config, window,
      [&](int layer) { return layer != last && pattern[static_cast<std::size_t>(layer) % pattern.size()] == 'L'; },
      layout));
  for (LayerDescription& layer : layout.description.layers)
    if (window && !layer.attention.slidingWindow) layer.attention.rope = std::nullopt;
  return layout.description;
}

}  // namespace kvista::families
