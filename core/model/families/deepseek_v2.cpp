// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/deepseek.h"

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
  KVISTA_CHECK(readGroups(config, mixture, 1, 1, router));
  return router;
}

}  // namespace

/// DeepSeek-V2: latent attention, and experts beside shared ones in all layers but the first.
Result<DecoderDescription> deepseek_v2(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLatent(config, {}));
  if (config.isNull("n_routed_experts")) return layout.description;

  KVISTA_ASSIGN(const bool mlpBias, config.booleanOr("mlp_bias", false));
  KVISTA_ASSIGN(const Mixture mixture,
                readMixture(config, {.expertsKey = "n_routed_experts", .experts = 64, .width = 1407}, layout));
  KVISTA_ASSIGN(const RouterDescription router, readRouter(config, mixture));
  KVISTA_ASSIGN(const std::int64_t sharedWidth, readSharedWidth(config, mixture, 2));
  KVISTA_ASSIGN(const std::int64_t denseLayers, config.integerOr("first_k_dense_replace", 0, 0, kMaximumLayers));
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int index) {
    if (index < denseLayers) return;
    const auto expert = [&](int number) {
      return layout.gatedMlp(fmt::format("{}mlp.experts.{}.", at, number), mixture.width, mlpBias);
    };
    layer.feedForward = layout.mixture(at + "mlp.gate", mixture, expert, router);
    if (sharedWidth > 0) layer.feedForward.shared = layout.gatedMlp(at + "mlp.shared_experts.", sharedWidth, mlpBias);
  });
  return layout.description;
}

}  // namespace kvista::families
