// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// MiniMax M2: Mixtral's names; norms over all heads of q and of k, rotary_dim numbers of each head rotating, experts
/// chosen by sigmoids and a learned correction.
Result<DecoderDescription> minimax_m2(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout,
                readLayout(config, {.kvHeads = 8, .headDim = 128, .maximumPositions = 196608, .rope = std::nullopt}));
  DecoderDescription& description = layout.description;
  const int headDim = description.shape.headDim;
  KVISTA_ASSIGN(const std::int64_t rotaryDim, config.integerOr("rotary_dim", headDim, 2, headDim));
  KVISTA_ASSIGN(RopeDescription rope, readRope(config, headDim,
                                               {.theta = 5e6,
                                                .fraction = static_cast<double>(rotaryDim) / headDim,
                                                .fractionKey = "partial_rotary_factor",
                                                .maximumPositions = description.maximumPositions}));
  description.ropes.push_back(std::move(rope));
  KVISTA_ASSIGN(const std::string scoring, config.stringOr("scoring_func", "sigmoid"));
  KVISTA_ASSIGN(const bool normsHeads, config.booleanOr("use_qk_norm", true));
  KVISTA_ASSIGN(const std::int64_t shared, config.integerOr("shared_intermediate_size", 0, 0, kMaximumWidth));
  if (scoring != "sigmoid" || !normsHeads || shared > 0)
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: of MiniMax M2 only models with scoring_func 'sigmoid', use_qk_norm and "
                            "without a shared expert are supported.",
                            config.source()));
  KVISTA_ASSIGN(const Mixture mixture, readMixture(config,
                                                   {.expertsKey = config.firstOf({"num_local_experts", "num_experts"}),
                                                    .experts = 256,
                                                    .perToken = 8,
                                                    .widthKey = "intermediate_size"},
                                                   layout));
  layout.fillAsLlama();
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layout.normAllHeads(at + "self_attn.", layer);
    const std::string block = at + "block_sparse_moe.";
    const auto expert = [&](int number) {
      const std::string name = fmt::format("{}experts.{}.", block, number);
      return MlpDescription{.gate = linear(name + "w1", layout.hidden(), mixture.width, false),
                            .up = linear(name + "w3", layout.hidden(), mixture.width, false),
                            .down = linear(name + "w2", mixture.width, layout.hidden(), false)};
    };
    layer.feedForward = layout.mixture(block + "gate", mixture, expert,
                                       {.isSigmoid = true, .correction = block + "e_score_correction_bias"});
  });
  return layout.description;
}

}  // namespace kvista::families
