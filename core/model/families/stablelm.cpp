// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

namespace kvista::families {

namespace {

/// A norm with weights of its own for each head, which are stored head by head.
NormDescription headNorm(Layout& layout, const std::string& name, int heads) {
  TensorView stacked;
  for (int head = 0; head < heads; ++head) stacked.vectors.push_back(fmt::format("{}.norms.{}.weight", name, head));
  NormDescription norm = layout.norm(name, layout.description.shape.headDim);
  norm.weight = name + ".norms[weight]";
  norm.bias.clear();
  norm.heads = heads;
  layout.description.views.insert_or_assign(norm.weight, std::move(stacked));
  return norm;
}

}  // namespace

/// StableLM: Llama's layout with LayerNorms and a quarter of each head rotating; on demand with biases on q, k and v,
/// norms over each of their heads, and both halves reading the same norm.
Result<DecoderDescription> stablelm(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config, {.kvHeads = 32,
                          .maximumPositions = 4096,
                          .norm = layerNorm("layer_norm_eps"),
                          .rope = RopeConventions{.fraction = 0.25, .fractionKey = "partial_rotary_factor"}}));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("use_qkv_bias", false));
  KVISTA_ASSIGN(const bool normsHeads, config.booleanOr("qk_layernorm", false));
  KVISTA_ASSIGN(const bool isParallel, config.booleanOr("use_parallel_residual", false));
  layout.fillAsLlama({.bias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    if (isParallel) {
      layer.arrangement = Arrangement::parallel;
      layer.feedForwardNorm = std::nullopt;
    }
    if (normsHeads) {
      layer.attention.queryNorm = headNorm(layout, at + "self_attn.q_layernorm", layout.description.shape.queryHeads);
      layer.attention.keyNorm = headNorm(layout, at + "self_attn.k_layernorm", layout.description.shape.kvHeads);
    }
  });
  return layout.description;
}

}  // namespace kvista::families
