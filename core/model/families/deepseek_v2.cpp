// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <utility>

#include "core/model/families/layout.h"

namespace kvista::families {

namespace {

/// DeepSeek-V2's router: the best experts of all, or of the groups that hold the best ones; their weights are not
/// divided by their sum, whatever the configuration says.
Result<RouterDescription> readRouter(const ConfigReader& config, const Mixture& mixture) {
  RouterDescription router{.renormalises = false};
  KVISTA_ASSIGN(router.scale, config.positiveOr("routed_scaling_factor", 1));
  KVISTA_ASSIGN(const std::string method, config.stringOr("topk_method", "greedy"));
  KVISTA_ASSIGN(const std::string scoring, config.stringOr("scoring_func", "softmax"));
  if (scoring != "softmax" || (method != "greedy" && method != "group_limited_greedy")) {
    return fail(ErrorCode::unsupportedModel, fmt::format("{}: experts chosen by scoring_func '{}' and topk_method '{}' "
                                                         "are not supported; supported: softmax with greedy or "
                                                         "group_limited_greedy.",
                                                         config.source(), scoring, method));
  }
  if (method == "greedy") return router;
  KVISTA_ASSIGN(const std::int64_t groups, config.integer("n_group", 1, mixture.experts));
  KVISTA_ASSIGN(const std::int64_t chosen, config.integer("topk_group", 1, groups));
  if (mixture.experts % groups != 0 || mixture.experts / groups * chosen < mixture.perToken) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: {} experts in n_group {} groups, of which topk_group {} are chosen, cannot give "
                            "num_experts_per_tok {}.",
                            config.source(), mixture.experts, groups, chosen, mixture.perToken));
  }
  router.groups = static_cast<int>(groups);
  router.chosenGroups = static_cast<int>(chosen);
  return router;
}

}  // namespace

/// DeepSeek-V2: latent attention, and experts beside shared ones in all layers but the first. The cache is the latent,
/// as the only value head, and one rotated key for all heads.
Result<DecoderDescription> deepseek_v2(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeadsKey = "",
                                                   .kvHeads = 1,
                                                   .headDimKey = "qk_rope_head_dim",
                                                   .headDim = 64,
                                                   .rope = RopeConventions{.isInterleaved = true}}));
  ModelShape& shape = layout.description.shape;
  const auto width = [&](std::string_view key, std::int64_t absent) {
    return config.integerOr(key, absent, 1, kMaximumWidth / shape.queryHeads);
  };
  KVISTA_ASSIGN(const std::int64_t latentWidth, config.integerOr("kv_lora_rank", 512, 1, kMaximumWidth));
  KVISTA_ASSIGN(const std::int64_t keyWidth, width("qk_nope_head_dim", 128));
  KVISTA_ASSIGN(const std::int64_t valueWidth, width("v_head_dim", 128));
  KVISTA_ASSIGN(const std::int64_t queryRank,
                config.integerOr("q_lora_rank", config.isNull("q_lora_rank") ? 0 : 1536, 1, kMaximumWidth));
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
  if (config.isNull("n_routed_experts")) return layout.description;

  KVISTA_ASSIGN(const Mixture mixture,
                readMixture(config, {.expertsKey = "n_routed_experts", .experts = 64, .width = 1407}, layout));
  KVISTA_ASSIGN(const RouterDescription router, readRouter(config, mixture));
  KVISTA_ASSIGN(const std::int64_t shared,
                config.integerOr("n_shared_experts", config.isNull("n_shared_experts") ? 0 : 2, 0,
                                 kMaximumWidth / mixture.width));
  KVISTA_ASSIGN(const std::int64_t denseLayers, config.integerOr("first_k_dense_replace", 0, 0, kMaximumLayers));
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int index) {
    if (index < denseLayers) return;
    const auto expert = [&](int number) {
      return layout.gatedMlp(fmt::format("{}mlp.experts.{}.", at, number), mixture.width, mlpBias);
    };
    layer.feedForward = layout.mixture(at + "mlp.gate", mixture, expert, router);
    if (shared > 0)
      layer.feedForward.shared = layout.gatedMlp(at + "mlp.shared_experts.", mixture.width * shared, mlpBias);
  });
  return layout.description;
}

}  // namespace kvista::families
