// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "core/model/families/layout.h"

namespace kvista::families {

/// MPT: linear biases (ALiBi) in place of positions, all q, k and v in one matrix, LayerNorms without biases, and no
/// other biases either.
Result<DecoderDescription> mpt(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config, {.kvHeadsKey = "",
                          .intermediateKey = "",
                          .isFourfold = true,
                          .activationKey = "",
                          .activation = "gelu",
                          .isTied = true,
                          .norm = {.kind = NormKind::layer, .epsilonKey = "layer_norm_epsilon", .epsilon = 1e-5},
                          .rope = std::nullopt}));
  KVISTA_ASSIGN(const bool hasNoBiases, config.booleanOr("no_bias", true));
  KVISTA_ASSIGN(const ConfigReader attention, config.objectOrEmpty("attn_config"));
  KVISTA_ASSIGN(const bool hasLinearBiases, attention.booleanOr("alibi", true));
  KVISTA_ASSIGN(const bool normsHeads, attention.booleanOr("qk_ln", false));
  KVISTA_ASSIGN(const std::string kind, attention.stringOr("attn_type", "multihead_attention"));
  if (!hasNoBiases || !hasLinearBiases || normsHeads || kind != "multihead_attention")
    return fail(
        ErrorCode::unsupportedModel,
        fmt::format("{}: of MPT only models with alibi and attn_type 'multihead_attention', without qk_ln and with "
                    "no_bias, are supported.",
                    config.source()));
  const double usualScale = 1 / std::sqrt(static_cast<double>(layout.description.shape.headDim));
  KVISTA_ASSIGN(const double scale, attention.positiveOr("softmax_scale", usualScale));
  KVISTA_ASSIGN(const double clip, attention.nonNegativeOr("clip_qkv", 0));
  KVISTA_ASSIGN(const double steepest, attention.positiveOr("alibi_bias_max", 8));
  std::vector<double> slopes = linearBiasSlopes(layout.description.shape.queryHeads);
  for (double& slope : slopes) slope = std::pow(slope, steepest / 8);
  layout.embed("transformer.wte", "lm_head");
  layout.eachLayer("transformer.blocks.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attentionNorm = layout.norm(at + "norm_1");
    layer.attention = layout.fusedAttention(at + "attn.Wqkv", at + "attn.out_proj", FusedOrder::byProjection, false);
    layer.attention.scale = scale;
    layer.attention.clip = clip;
    layer.attention.linearBiases = LinearBiases{.slopes = slopes};
    layer.feedForwardNorm = layout.norm(at + "norm_2");
    layer.feedForward = layout.feedForward(layout.plainMlp(at + "ffn.up_proj", at + "ffn.down_proj", false));
  });
  layout.description.head.norm = layout.norm("transformer.norm_f");
  return layout.description;
}

}  // namespace kvista::families
