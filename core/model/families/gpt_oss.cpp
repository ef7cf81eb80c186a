// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// GPT-OSS: biases, a sink in each head's softmax, a window in every second layer, and experts whose matrices lie in
/// stacks, as [in, out], gate and up row by row.
Result<DecoderDescription> gpt_oss(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readLayout(config, {.kvHeads = 8,
                                                   .headDim = 64,
                                                   .maximumPositions = 131072,
                                                   .norm = {.epsilon = 1e-5},
                                                   .rope = RopeConventions{.theta = 150000}}));
  if (!config.has("rope_scaling") && !config.has("rope_parameters"))
    return fail(ErrorCode::corruptFile, fmt::format("{} is missing; GPT-OSS needs what its rope is stretched by.",
                                                    config.describeField("rope_scaling")));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", true));
  KVISTA_ASSIGN(const auto window, readWindow(config, 128));
  KVISTA_ASSIGN(const double limit, config.positiveOr("swiglu_limit", 7));
  KVISTA_ASSIGN(const double slope, config.positiveOr("swiglu_alpha", 1.702));
  KVISTA_ASSIGN(const Mixture mixture,
                readMixture(config,
                            {.expertsKey = config.firstOf({"num_local_experts", "num_experts"}),
                             .experts = 128,
                             .perTokenKey = config.firstOf({"num_experts_per_tok", "experts_per_token"}),
                             .perToken = 4,
                             .widthKey = "intermediate_size"},
                            layout));
  const std::int64_t hidden = layout.hidden(), width = mixture.width;
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    const std::string input = at + "mlp.experts.gate_up_proj", output = at + "mlp.experts.down_proj";
    const auto biasOf = [&](const std::string& tensor, std::string_view part, TensorView view) {
      view.of = tensor + "_bias";
      view.isVector = true;
      std::string name = fmt::format("{}[{} {}]", view.of, view.first, part);
      layout.description.views.insert_or_assign(name, std::move(view));
      return name;
    };
    const auto every2nd = [&](std::string_view part, int expert, std::int64_t first) {
      const TensorView rows{.isTransposed = true,
                            .first = first,
                            .block = 1,
                            .stride = 2,
                            .blocks = width,
                            .shape = {mixture.experts, hidden, 2 * width}};
      LinearDescription result = layout.ofStack(input, part, expert, rows, hidden);
      result.bias = biasOf(input, part,
                           {.first = 2 * width * expert + first,
                            .block = 1,
                            .stride = 2,
                            .blocks = width,
                            .shape = {mixture.experts, 2 * width}});
      return result;
    };
    layer.attention.sinks = at + "self_attn.sinks";
    layer.feedForward = layout.mixture(at + "mlp.router", mixture, [&](int expert) {
      const TensorView rows{
          .isTransposed = true, .block = hidden, .stride = hidden, .shape = {mixture.experts, width, hidden}};
      LinearDescription down = layout.ofStack(output, "down", expert, rows, width);
      down.bias =
          biasOf(output, "down",
                 {.first = hidden * expert, .block = hidden, .stride = hidden, .shape = {mixture.experts, hidden}});
      return MlpDescription{.gate = every2nd("gate", expert, 0), .up = every2nd("up", expert, 1), .down = down};
    });
    layer.feedForward.router->linear.bias = at + "mlp.router.bias";
    layer.feedForward.clampedGate = ClampedGate{slope, limit};
  });
  KVISTA_CHECK(readSlidingLayers(
      config, window, [](int layer) { return layer % 2 == 0; }, layout));
  return layout.description;
}

}  // namespace kvista::families
