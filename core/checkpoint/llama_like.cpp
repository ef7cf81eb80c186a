// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/llama_like.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/checkpoint/decoder_json.h"
#include "core/checkpoint/tensor_source.h"

namespace kvista {

namespace {

bool isPlainNorm(const std::optional<NormDescription>& norm) {
  return norm && norm->kind == NormKind::rootMeanSquare && norm->bias.empty() && !norm->weight.empty() &&
         norm->weightOffset == 0;
}

/// What of a layer is not Llama's, as in "they ..."; empty: nothing.
std::string_view whatIsOther(const LayerDescription& layer) {
  const AttentionDescription& attention = layer.attention;
  if (attention.latent) return "keep one latent a token already";
  if (attention.queryNorm || attention.keyNorm)
    return "norm their queries and keys, for which that architecture has no place";
  if (attention.slidingWindow) return "have sliding windows, which that architecture has not";
  if (!attention.sinks.empty()) return "have attention sinks, for which that architecture has no place";
  if (attention.queryGrowth) return "let queries grow with their place, which that architecture does not";
  if (attention.scoreCap > 0) return "cap their scores, which that architecture does not";
  if (attention.clip > 0) return "clamp queries, keys and values, which that architecture does not";
  if (attention.linearBiases || !attention.rope)
    return "have layers that do not rotate, which that architecture has not";
  if (layer.arrangement != Arrangement::sequential || layer.attentionOutputNorm || layer.feedForwardOutputNorm)
    return "have norms at other places than that architecture";
  if (!isPlainNorm(layer.attentionNorm) || !isPlainNorm(layer.feedForwardNorm))
    return "have norms of another kind than that architecture";
  if (layer.residualMultiplier != 1) return "multiply what a layer adds by a factor, which that architecture does not";
  const FeedForwardDescription& feedForward = layer.feedForward;
  if (feedForward.router || feedForward.shared) return "have experts, for which it would be another form";
  const MlpDescription& mlp = feedForward.experts.front();
  if (!mlp.gate || feedForward.clampedGate || feedForward.activation != Activation::silu || !mlp.gate->bias.empty() ||
      !mlp.up.bias.empty() || !mlp.down.bias.empty())
    return "have a feed-forward part of another kind than that architecture";
  return {};
}

}  // namespace

Result<void> checkIsLlamaLike(const DecoderDescription& description, std::string_view form) {
  const auto refuse = [&](std::string_view reason) {
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("Models of the family {} have no form {}: they {}.", description.shape.family, form, reason),
        "Export the form latent.");
  };
  const AttentionDescription& first = description.layers.front().attention;
  for (const LayerDescription& layer : description.layers) {
    if (const std::string_view other = whatIsOther(layer); !other.empty()) return refuse(other);
    if (layer.attention.rope != first.rope)
      return refuse("have layers that rotate in different ways, which that architecture has not");
    if (std::abs(layer.attention.scale * std::sqrt(static_cast<double>(description.shape.headDim)) - 1) > 1e-6)
      return refuse("scale their scores by another factor than that architecture");
    if (layer.attentionNorm->epsilon != description.layers.front().attentionNorm->epsilon)
      return refuse("have norms that differ between layers");
  }
  const RopeDescription& rope = description.ropes[static_cast<std::size_t>(*first.rope)];
  if (rope.type != RopeType::standard || rope.attentionFactor != 1)
    return refuse("stretch their rotary embedding for long texts, which engines leave out in that architecture");
  const EmbeddingDescription& embedding = description.embedding;
  if (embedding.multiplier != 1 || embedding.projection || !embedding.positions.empty() || embedding.norm)
    return refuse("do more to their token embeddings than that architecture");
  const HeadDescription& head = description.head;
  if (!isPlainNorm(head.norm) || head.projection || !head.linear.bias.empty() || head.multiplier != 1 || head.cap > 0)
    return refuse("do more behind their last layer than that architecture");
  return {};
}

Result<std::vector<TensorToWrite>> carriedLlama(const Checkpoint& checkpoint, const DecoderDescription& description,
                                                DataType dtype,
                                                const std::function<bool(const std::string& name)>& isChanged) {
  KVISTA_ASSIGN(const auto store, withViews(checkpoint.tensors, description.views));
  std::vector<TensorRole> roles = tensorRoles(description);
  if (description.head.linear.weight == description.embedding.weight)
    roles.push_back({"lm_head.weight", description.embedding.weight});
  std::vector<TensorToWrite> tensors;
  for (const TensorRole& role : roles)
    if (!isChanged(role.name))
      tensors.push_back(carriedOver(store, store->tensors().at(role.source), role.name, dtype));
  return tensors;
}

nlohmann::json llamaConfig(const Checkpoint& checkpoint, const DecoderDescription& description) {
  const ModelShape& shape = description.shape;
  const LayerDescription& layer = description.layers.front();
  nlohmann::json config = {{"vocab_size", shape.vocabulary},
                           {"hidden_size", shape.hiddenSize},
                           {"intermediate_size", layer.feedForward.experts.front().up.out},
                           {"num_hidden_layers", shape.layers},
                           {"num_attention_heads", shape.queryHeads},
                           {"num_key_value_heads", shape.kvHeads},
                           {"hidden_act", "silu"},
                           {"max_position_embeddings", description.maximumPositions},
                           {"rms_norm_eps", layer.attentionNorm->epsilon},
                           {"rope_theta", description.ropes[static_cast<std::size_t>(*layer.attention.rope)].theta},
                           {"tie_word_embeddings", false}};
  const nlohmann::json& base = checkpoint.config;
  for (const nlohmann::json& part : {base.value("text_config", nlohmann::json::object()), base})
    for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id", "dtype", "torch_dtype"})
      if (part.contains(key) && !part[key].is_null()) config[key] = part[key];
  return config;
}

}  // namespace kvista
