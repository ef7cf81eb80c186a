// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// GPT-Neo and TinyStories: GPT-2 with q, k and v apart and without biases, scores that are not scaled, and a window in
/// every second layer.
Result<DecoderDescription> gpt_neo(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeadsKey = "",
                                                   .isFourfold = true,
                                                   .activationKey = "activation_function",
                                                   .activation = "gelu_new",
                                                   .isTied = true,
                                                   .norm = layerNorm("layer_norm_epsilon"),
                                                   .rope = std::nullopt}));
  KVISTA_ASSIGN(const std::int64_t window, config.integerOr("window_size", 256, 1, kMaximumPositions));
  std::vector<std::string> kinds;
  if (config.has("attention_layers")) {
    KVISTA_ASSIGN(kinds, config.stringList("attention_layers", layout.description.layers.size()));
  }
  for (const std::string& kind : kinds)
    if (kind != "local" && kind != "global")
      return fail(ErrorCode::unsupportedModel,
                  fmt::format("{} has '{}', which is not supported; supported: global, local.",
                              config.describeField("attention_layers"), kind));
  layout.embed("transformer.wte", "lm_head");
  layout.description.embedding.positions = "transformer.wpe.weight";
  layout.eachLayer("transformer.h.", [&](const std::string& at, LayerDescription& layer, int index) {
    layer.attentionNorm = layout.norm(at + "ln_1");
    layer.attention = layout.attention(at + "attn.attention.", {.output = "out_proj", .outputBias = true});
    layer.attention.scale = 1;
    if (kinds.empty() ? index % 2 == 1 : kinds[static_cast<std::size_t>(index)] == "local")
      layer.attention.slidingWindow = window;
    layer.feedForwardNorm = layout.norm(at + "ln_2");
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "mlp.c_fc", at + "mlp.c_proj", true));
  });
  layout.description.head.norm = layout.norm("transformer.ln_f");
  return layout.description;
}

}  // namespace kvista::families
