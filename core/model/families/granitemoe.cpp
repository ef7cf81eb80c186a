// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

/// Granite with experts: Granite, whose layers have the experts' matrices in stacks, and one MLP besides for every
/// token where the configuration gives its width.
Result<DecoderDescription> granitemoe(const ConfigReader& config) {
  KVISTA_ASSIGN(Layout layout, readGranite(config));
  KVISTA_ASSIGN(const Mixture mixture, readMixture(config,
                                                   {.expertsKey = config.firstOf({"num_local_experts", "num_experts"}),
                                                    .experts = 8,
                                                    .perToken = 2,
                                                    .widthKey = "intermediate_size"},
                                                   layout));
  KVISTA_ASSIGN(const std::int64_t shared, config.integerOr("shared_intermediate_size", 0, 0, kMaximumWidth));
  const std::int64_t hidden = layout.hidden(), width = mixture.width;
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    const std::string input = at + "block_sparse_moe.input_linear.weight",
                      output = at + "block_sparse_moe.output_linear.weight";
    const auto half = [&](std::string_view part, int expert, std::int64_t first) {
      return layout.ofStack(
          input, part, expert,
          {.first = first, .block = width, .stride = width, .shape = {mixture.experts, 2 * width, hidden}}, hidden);
    };
    layer.feedForward = layout.mixture(at + "block_sparse_moe.router.layer", mixture, [&](int expert) {
      return MlpDescription{.gate = half("gate", expert, 0),
                            .up = half("up", expert, width),
                            .down = layout.ofStack(
                                output, "down", expert,
                                {.block = hidden, .stride = hidden, .shape = {mixture.experts, hidden, width}}, width)};
    });
    if (shared == 0) return;
    const auto sharedHalf = [&](std::string_view part, std::int64_t first) {
      return layout.rows(at + "shared_mlp.input_linear", part, {.first = first, .block = shared, .stride = shared},
                         hidden, false);
    };
    layer.feedForward.shared = MlpDescription{.gate = sharedHalf("gate", 0),
                                              .up = sharedHalf("up", shared),
                                              .down = linear(at + "shared_mlp.output_linear", shared, hidden, false)};
  });
  return layout.description;
}

}  // namespace kvista::families
