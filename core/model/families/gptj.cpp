// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/model/families/layout.h"

namespace kvista::families {

Result<Layout> readGptJ(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeadsKey = "",
                                                   .intermediateKey = "n_inner",
                                                   .isFourfold = true,
                                                   .activationKey = "activation_function",
                                                   .activation = "gelu_new",
                                                   .norm = layerNorm("layer_norm_epsilon"),
                                                   .rope = std::nullopt}));
  const int headDim = layout.description.shape.headDim;
  KVISTA_ASSIGN(const std::int64_t rotaryDim, config.integerOr("rotary_dim", std::min(64, headDim), 2, headDim));
  if (rotaryDim % 2 != 0)
    return fail(ErrorCode::corruptFile,
                fmt::format("{} is {}; it must be even.", config.describeField("rotary_dim"), rotaryDim));
  layout.description.ropes.push_back({.rotaryDim = static_cast<int>(rotaryDim), .isInterleaved = true});
  layout.embed("transformer.wte", "lm_head", true);
  layout.eachLayer("transformer.h.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.arrangement = Arrangement::parallel;
    layer.attentionNorm = layout.norm(at + "ln_1");
    layer.attention = layout.attention(at + "attn.", {.output = "out_proj"});
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "mlp.fc_in", at + "mlp.fc_out", true));
  });
  layout.description.head.norm = layout.norm("transformer.ln_f");
  return layout;
}

/// GPT-J: one LayerNorm that both halves read, rotary_dim numbers of each head rotating as pairs of neighbours with
/// base 10000, biases in the MLP and the head only.
Result<DecoderDescription> gptj(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readGptJ(config));
  return layout.description;
}

}  // namespace kvista::families
