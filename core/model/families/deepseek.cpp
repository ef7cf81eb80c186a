// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/deepseek.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvista::families {

Result<Layout> readLatent(const ConfigReader& config, const LatentConventions& conventions) {
  bool isInterleaved = true;
  if (!conventions.interleaveKey.empty()) {
    KVISTA_ASSIGN(isInterleaved, config.booleanOr(conventions.interleaveKey, true));
  }
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeadsKey = "",
                                                   .kvHeads = 1,
                                                   .headDimKey = "qk_rope_head_dim",
                                                   .headDim = 64,
                                                   .maximumPositions = conventions.maximumPositions,
                                                   .norm = {.epsilon = conventions.epsilon},
                                                   .rope = RopeConventions{.isInterleaved = isInterleaved}}));
  ModelShape& shape = layout.description.shape;
  const auto width = [&](std::string_view key, std::int64_t absent) {
    return config.integerOr(key, absent, 1, kMaximumWidth / shape.queryHeads);
  };
  KVISTA_ASSIGN(const std::int64_t latentWidth, config.integerOr("kv_lora_rank", 512, 1, kMaximumWidth));
  KVISTA_ASSIGN(const std::int64_t keyWidth, width("qk_nope_head_dim", conventions.keyWidth));
  KVISTA_ASSIGN(const std::int64_t valueWidth, width("v_head_dim", conventions.valueWidth));
  KVISTA_ASSIGN(
      const std::int64_t queryRank,
      config.integerOr("q_lora_rank", config.isNull("q_lora_rank") ? 0 : conventions.queryRank, 1, kMaximumWidth));
  KVISTA_ASSIGN(const bool attentionBias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const bool mlpBias, config.booleanOr("mlp_bias", false));
  KVISTA_ASSIGN(const double temperature, readScoreTemperature(config));
  shape.valueHeadDim = static_cast<int>(latentWidth);

  const std::int64_t heads = shape.queryHeads;
  const auto innerNorm = [&](const std::string& name, std::int64_t size) {
    NormDescription norm = layout.norm(name, size);
    norm.epsilon = 1e-6;
    return norm;
  };
  layout.fillAsLlama({}, mlpBias);
  layout.eachLayer("model.layers.", [&](const std::string& layerAt, LayerDescription& layer, int) {
    const std::string at = layerAt + "self_attn.";
    const std::string compression = at + "kv_a_proj_with_mqa";
    AttentionDescription& attention = layer.attention;
    LatentAttentionDescription latent{
        .latentNorm = innerNorm(at + "kv_a_layernorm", latentWidth),
        .expansion = linear(at + "kv_b_proj", latentWidth, heads * (keyWidth + valueWidth), false),
        .keyWidth = static_cast<int>(keyWidth),
        .valueWidth = static_cast<int>(valueWidth)};
    attention.query = linear(at + "q_proj", layout.hidden(), heads * (keyWidth + shape.headDim), false);
    if (queryRank > 0) {
      latent.queryReduction = linear(at + "q_a_proj", layout.hidden(), queryRank, attentionBias);
      latent.queryReductionNorm = innerNorm(at + "q_a_layernorm", queryRank);
      attention.query = linear(at + "q_b_proj", queryRank, attention.query.out, false);
    }
    attention.value = layout.rows(compression, "latent", {.block = latentWidth, .stride = latentWidth}, layout.hidden(),
                                  attentionBias);
    attention.key =
        layout.rows(compression, "key", {.first = latentWidth, .block = shape.headDim, .stride = shape.headDim},
                    layout.hidden(), attentionBias);
    attention.output = linear(at + "o_proj", heads * valueWidth, layout.hidden(), attentionBias);
    attention.scale = temperature / std::sqrt(static_cast<double>(keyWidth + shape.headDim));
    attention.latent = std::move(latent);
  });
  return layout;
}

Result<std::int64_t> readSharedWidth(const ConfigReader& config, const Mixture& mixture, std::int64_t absent) {
  constexpr std::string_view key = "n_shared_experts";
  KVISTA_ASSIGN(const std::int64_t shared,
                config.integerOr(key, config.isNull(key) ? 0 : absent, 0, kMaximumWidth / mixture.width));
  return shared * mixture.width;
}

Result<void> readGroups(const ConfigReader& config, const Mixture& mixture, std::int64_t absentGroups,
                        std::int64_t absentChosen, RouterDescription& router) {
  KVISTA_ASSIGN(const std::int64_t groups, config.integerOr("n_group", absentGroups, 1, mixture.experts));
  KVISTA_ASSIGN(const std::int64_t chosen, config.integerOr("topk_group", std::min(absentChosen, groups), 1, groups));
  if (mixture.experts % groups != 0 || mixture.experts / groups * chosen < mixture.perToken ||
      (chosen < groups && mixture.experts / groups < router.groupBest)) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: {} experts in n_group {} groups, of which topk_group {} are chosen, cannot give "
                            "num_experts_per_tok {}.",
                            config.source(), mixture.experts, groups, chosen, mixture.perToken));
  }
  router.groups = static_cast<int>(groups);
  router.chosenGroups = static_cast<int>(chosen);
  return {};
}

Result<void> fillSigmoidMixture(const ConfigReader& config, const SigmoidMixtureConventions& conventions,
                                Layout& layout) {
  KVISTA_ASSIGN(const std::string method, config.stringOr("topk_method", "noaux_tc"));
  KVISTA_ASSIGN(const std::string scoring, config.stringOr("scoring_func", "sigmoid"));
  if (scoring != "sigmoid" || method != "noaux_tc")
    return fail(ErrorCode::unsupportedModel, fmt::format("{}: experts chosen by scoring_func '{}' and topk_method '{}' "
                                                         "are not supported; supported: sigmoid with noaux_tc.",
                                                         config.source(), scoring, method));
  KVISTA_ASSIGN(const Mixture mixture, readMixture(config, conventions.mixture, layout));
  KVISTA_ASSIGN(const std::int64_t sharedWidth, readSharedWidth(config, mixture, conventions.shared));
  RouterDescription router{.groupBest = 2, .isSigmoid = true};
  KVISTA_CHECK(readGroups(config, mixture, conventions.groups, conventions.chosenGroups, router));
  KVISTA_ASSIGN(router.scale, config.positiveOr("routed_scaling_factor", conventions.scale));
  KVISTA_ASSIGN(router.renormalises, config.booleanOr("norm_topk_prob", conventions.renormalises));
  KVISTA_ASSIGN(const std::int64_t dense,
                config.integerOr("first_k_dense_replace", conventions.denseLayers, 0, kMaximumLayers));
  std::vector<std::string> types;
  if (config.has("mlp_layer_types")) {
    KVISTA_ASSIGN(types, config.stringList("mlp_layer_types", layout.description.layers.size()));
  }
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int index) {
    if (types.empty() ? index < dense : types[static_cast<std::size_t>(index)] != "sparse") return;
    const auto expert = [&](int number) {
      return layout.gatedMlp(fmt::format("{}mlp.experts.{}.", at, number), mixture.width, false);
    };
    router.correction = at + "mlp.gate.e_score_correction_bias";
    layer.feedForward = layout.mixture(at + "mlp.gate", mixture, expert, router);
    if (sharedWidth > 0) layer.feedForward.shared = layout.gatedMlp(at + "mlp.shared_experts.", sharedWidth, false);
  });
  return {};
}

}  // namespace kvista::families
