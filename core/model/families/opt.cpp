// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// OPT: learned positions from row 2 on, LayerNorms before each half or, in the 350M model, after it; that one also
/// embeds tokens in fewer numbers than the residual stream has.
Result<DecoderDescription> opt(const ConfigReader& config) {
  KVISTA_ASSIGN(const bool hasBias, config.booleanOr("enable_bias", true));
  KVISTA_ASSIGN(const bool hasNormWeights, config.booleanOr("layer_norm_elementwise_affine", true));
  NormConventions norms = layerNorm("");
  norms.hasWeight = norms.hasBias = hasNormWeights;
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 12, .hidden = 768, .heads = 12, .intermediate = 3072, .vocabulary = 50272},
                  .kvHeadsKey = "",
                  .intermediateKey = "ffn_dim",
                  .activationKey = "activation_function",
                  .activation = "relu",
                  .isTied = true,
                  .norm = norms,
                  .rope = std::nullopt}));
  KVISTA_ASSIGN(const bool normsBefore, config.booleanOr("do_layer_norm_before", true));
  KVISTA_ASSIGN(const bool lacksLastNorm, config.booleanOr("_remove_final_layer_norm", false));
  KVISTA_ASSIGN(const std::int64_t width, config.integerOr("word_embed_proj_dim", layout.hidden(), 1, kMaximumWidth));
  layout.embed("model.decoder.embed_tokens", "lm_head");
  EmbeddingDescription& embedding = layout.description.embedding;
  HeadDescription& head = layout.description.head;
  embedding.positions = "model.decoder.embed_positions.weight";
  embedding.positionOffset = 2;
  if (width != layout.hidden()) {
    embedding.width = head.linear.in = width;
    embedding.projection = linear("model.decoder.project_in", width, layout.hidden(), false);
    head.projection = linear("model.decoder.project_out", layout.hidden(), width, false);
  }
  layout.eachLayer("model.decoder.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.arrangement = normsBefore ? Arrangement::sequential : Arrangement::normedSums;
    layer.attentionNorm = layout.norm(at + "self_attn_layer_norm");
    layer.attention =
        layout.attention(at + "self_attn.", {.output = "out_proj", .bias = hasBias, .outputBias = hasBias});
    layer.feedForwardNorm = layout.norm(at + "final_layer_norm");
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "fc1", at + "fc2", hasBias));
  });
  if (normsBefore && !lacksLastNorm) head.norm = layout.norm("model.decoder.final_layer_norm");
  return layout.description;
}

}  // namespace kvista::families
