// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// EXAONE 3 and 3.5: Llama under GPT-2's names.
Result<DecoderDescription> exaone(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.activationKey = "activation_function",
                                                   .norm = {.epsilonKey = "layer_norm_epsilon", .epsilon = 1e-5}}));
  layout.embed("transformer.wte", "lm_head");
  layout.eachLayer("transformer.h.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attentionNorm = layout.norm(at + "ln_1");
    layer.attention = layout.attention(at + "attn.attention.", {.output = "out_proj"});
    layer.feedForwardNorm = layout.norm(at + "ln_2");
    layer.feedForward =
        layout.feedForward({.gate = linear(at + "mlp.c_fc_0", layout.hidden(), layout.intermediate, false),
                            .up = linear(at + "mlp.c_fc_1", layout.hidden(), layout.intermediate, false),
                            .down = linear(at + "mlp.c_proj", layout.intermediate, layout.hidden(), false)});
  });
  layout.description.head.norm = layout.norm("transformer.ln_f");
  return layout.description;
}

}  // namespace kvista::families
