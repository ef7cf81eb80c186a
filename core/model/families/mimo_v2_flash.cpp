// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>

#include "core/model/families/layout.h"

namespace kvista::families {

namespace {

/// Layers that slide have sinks and other heads, sparse ones a router of their own: only models without either are
/// read.
Result<void> checkLayers(const ConfigReader& config, std::size_t layers) {
  const auto refuse = [&](std::string_view key, std::string_view supported) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: only {} layers are supported.", config.describeField(key), supported));
  };
  for (const auto& [typesKey, numbersKey, supported] :
       {std::tuple("layer_types", "hybrid_layer_pattern", "full_attention"),
        std::tuple("mlp_layer_types", "moe_layer_freq", "dense")}) {
    if (config.has(typesKey)) {
      KVISTA_ASSIGN(const std::vector<std::string> types, config.stringList(typesKey, layers));
      if (std::ranges::any_of(types, [&](const std::string& type) { return type != supported; }))
        return refuse(typesKey, supported);
    } else if (config.has(numbersKey)) {
      KVISTA_ASSIGN(const std::vector<std::int64_t> numbers, config.integerList(numbersKey, 0, 1, layers));
      if (std::ranges::count(numbers, 0) != std::ssize(numbers)) return refuse(numbersKey, supported);
    } else {
      return refuse(typesKey, supported);
    }
  }
  return {};
}

}  // namespace

/// MiMo-V2-Flash without sliding and sparse layers: Llama with values of another width than keys.
Result<DecoderDescription> mimo_v2_flash(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout,
                readLayout(config, {.kvHeads = 4,
                                    .headDim = 192,
                                    .maximumPositions = 131072,
                                    .norm = {.epsilonKey = config.firstOf({"rms_norm_eps", "layernorm_epsilon"}),
                                             .epsilon = 1e-5},
                                    .rope = RopeConventions{.theta = 5e6,
                                                            .fraction = 0.334,
                                                            .fractionKey = "partial_rotary_factor",
                                                            .layerType = "full_attention"}}));
  ModelShape& shape = layout.description.shape;
  KVISTA_CHECK(checkLayers(config, layout.description.layers.size()));
  KVISTA_ASSIGN(const double scale,
                config.positiveOr("attention_value_scale", config.isNull("attention_value_scale") ? 1 : 0.707));
  if (scale != 1)
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{} is {}; supported: 1.", config.describeField("attention_value_scale"), scale));
  KVISTA_ASSIGN(const std::int64_t valueWidth,
                config.integerOr("v_head_dim", 128, 1, kMaximumWidth / shape.queryHeads));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  shape.valueHeadDim = static_cast<int>(valueWidth);
  layout.fillAsLlama({.bias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attention.output = linear(at + "self_attn.o_proj", shape.queryHeads * valueWidth, layout.hidden(), false);
  });
  return layout.description;
}

}  // namespace kvista::families
