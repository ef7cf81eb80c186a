// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/decoder_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

namespace kvista {

namespace {

using nlohmann::json;

std::string_view nameOf(Activation activation) {
  switch (activation) {
    case Activation::silu:
      return "silu";
    case Activation::gelu:
      return "gelu";
    case Activation::geluTanh:
      return "gelu_pytorch_tanh";
    case Activation::relu:
      return "relu";
    case Activation::reluSquared:
      return "relu2";
  }
  return "";
}

/// A field whose absence means `usual`.
template <class T>
void set(json& object, const char* field, const T& value, const T& usual) {
  if (value != usual) object[field] = value;
}

json describeNorm(const NormDescription& norm) {
  json object = {{"width", norm.width}, {"epsilon", norm.epsilon}};
  if (norm.kind == NormKind::layer) object["kind"] = "layer";
  set(object, "weight", !norm.weight.empty(), true);
  set(object, "bias", !norm.bias.empty(), false);
  set(object, "offset", norm.weightOffset, 0.0);
  set(object, "heads", norm.heads, std::int64_t{0});
  return object;
}

void setNorm(json& object, const char* field, const std::optional<NormDescription>& norm) {
  if (norm) object[field] = describeNorm(*norm);
}

/// Those of some projections that exist, by name.
void setBiases(json& object, std::initializer_list<std::pair<const char*, const LinearDescription*>> projections) {
  for (const auto& [name, linear] : projections)
    if (!linear->bias.empty()) object["biases"].push_back(name);
}

json describeLatent(const LatentAttentionDescription& latent) {
  json object = {
      {"norm", describeNorm(latent.latentNorm)}, {"key_width", latent.keyWidth}, {"value_width", latent.valueWidth}};
  set(object, "bias", !latent.expansion.bias.empty(), false);
  if (latent.queryReduction) {
    json& reduction = object["query_reduction"] = {{"width", latent.queryReduction->out}};
    set(reduction, "bias", !latent.queryReduction->bias.empty(), false);
    setNorm(reduction, "norm", latent.queryReductionNorm);
  }
  return object;
}

json describeAttention(const AttentionDescription& attention) {
  json object = {{"scale", attention.scale}};
  setBiases(object, {{"query", &attention.query},
                     {"key", &attention.key},
                     {"value", &attention.value},
                     {"output", &attention.output}});
  setNorm(object, "query_norm", attention.queryNorm);
  setNorm(object, "key_norm", attention.keyNorm);
  if (attention.rope) object["rope"] = *attention.rope;
  if (attention.slidingWindow) object["window"] = *attention.slidingWindow;
  set(object, "score_cap", attention.scoreCap, 0.0);
  set(object, "clip", attention.clip, 0.0);
  if (attention.linearBiases) {
    json& biases = object["linear_biases"] = {{"slopes", attention.linearBiases->slopes}};
    set(biases, "before_scale", attention.linearBiases->isBeforeScale, false);
    set(biases, "bfloat16", attention.linearBiases->isRoundedToBfloat16, false);
  }
  if (attention.queryGrowth)
    object["query_growth"] = {{"rate", attention.queryGrowth->rate}, {"every", attention.queryGrowth->every}};
  set(object, "norms_after_rope", attention.normsAfterRope, false);
  set(object, "sinks", !attention.sinks.empty(), false);
  if (attention.latent) object["latent"] = describeLatent(*attention.latent);
  return object;
}

json describeMlp(const MlpDescription& mlp) {
  json object = {{"width", mlp.up.out}};
  set(object, "gated", mlp.gate.has_value(), true);
  if (mlp.gate) setBiases(object, {{"gate", &*mlp.gate}});
  setBiases(object, {{"up", &mlp.up}, {"down", &mlp.down}});
  return object;
}

json describeRouter(const RouterDescription& router) {
  json object = {{"per_token", router.perToken}};
  set(object, "bias", !router.linear.bias.empty(), false);
  set(object, "renormalises", router.renormalises, true);
  set(object, "scale", router.scale, 1.0);
  set(object, "groups", router.groups, 1);
  set(object, "chosen_groups", router.chosenGroups, 1);
  set(object, "group_best", router.groupBest, 1);
  set(object, "sigmoid", router.isSigmoid, false);
  set(object, "correction", !router.correction.empty(), false);
  return object;
}

json describeFeedForward(const FeedForwardDescription& feedForward) {
  json object = {{"activation", nameOf(feedForward.activation)}};
  if (feedForward.clampedGate)
    object["clamped_gate"] = {{"slope", feedForward.clampedGate->slope}, {"limit", feedForward.clampedGate->limit}};
  const json mlp = describeMlp(feedForward.experts.front());  // experts of one layer are built alike
  if (!feedForward.router) {
    object["mlp"] = mlp;
    return object;
  }
  object["experts"] = feedForward.experts.size();
  object["expert"] = mlp;
  object["router"] = describeRouter(*feedForward.router);
  if (feedForward.shared) object["shared"] = describeMlp(*feedForward.shared);
  set(object, "shared_gate", feedForward.sharedGate.has_value(), false);
  return object;
}

json describeBlock(const LayerDescription& layer) {
  json object = {{"attention", describeAttention(layer.attention)},
                 {"feed_forward", describeFeedForward(layer.feedForward)}};
  if (layer.arrangement == Arrangement::parallel) object["arrangement"] = "parallel";
  if (layer.arrangement == Arrangement::normedSums) object["arrangement"] = "normed_sums";
  set(object, "residual_multiplier", layer.residualMultiplier, 1.0);
  setNorm(object, "attention_norm", layer.attentionNorm);
  setNorm(object, "attention_output_norm", layer.attentionOutputNorm);
  setNorm(object, "feed_forward_norm", layer.feedForwardNorm);
  setNorm(object, "feed_forward_output_norm", layer.feedForwardOutputNorm);
  return object;
}

json describeEmbedding(const DecoderDescription& description) {
  const EmbeddingDescription& embedding = description.embedding;
  json object = json::object();
  set(object, "multiplier", embedding.multiplier, 1.0);
  if (embedding.projection) {
    object["width"] = embedding.width;
    object["projection"] = json::object();
    set(object["projection"], "bias", !embedding.projection->bias.empty(), false);
  }
  if (!embedding.positions.empty()) {
    json& positions = object["positions"] = {{"rows", description.maximumPositions + embedding.positionOffset}};
    set(positions, "offset", embedding.positionOffset, std::int64_t{0});
  }
  setNorm(object, "norm", embedding.norm);
  return object;
}

json describeHead(const HeadDescription& head) {
  json object = json::object();
  setNorm(object, "norm", head.norm);
  if (head.projection) {
    object["projection"] = {{"width", head.projection->out}};
    set(object["projection"], "bias", !head.projection->bias.empty(), false);
  }
  set(object, "bias", !head.linear.bias.empty(), false);
  set(object, "multiplier", head.multiplier, 1.0);
  set(object, "cap", head.cap, 0.0);
  return object;
}

json describeRope(const RopeDescription& rope) {
  json object = {{"rotary_dim", rope.rotaryDim}};
  set(object, "scale", rope.attentionFactor, 1.0);
  set(object, "interleaved", rope.isInterleaved, false);
  if (rope.type == RopeType::dynamic) {
    object["dynamic"] = {{"theta", rope.theta}, {"factor", rope.factor}, {"trained_length", rope.trainedLength}};
    return object;
  }
  object["inverse_frequencies"] = inverseFrequencies(rope, 1);
  if (rope.type == RopeType::longrope) {
    object["trained_length"] = rope.trainedLength;
    object["long_inverse_frequencies"] = inverseFrequencies(rope, rope.trainedLength + 1);
  }
  return object;
}

/// Collects the roles of a layer's parts.
class Roles {
 public:
  void add(const std::string& name, const std::string& source) {
    if (!source.empty()) roles_.push_back({name, source});
  }
  void add(const std::string& name, const LinearDescription& linear) {
    add(name + ".weight", linear.weight);
    add(name + ".bias", linear.bias);
  }
  void add(const std::string& name, const NormDescription& norm) {
    add(name + ".weight", norm.weight);
    add(name + ".bias", norm.bias);
  }
  void add(const std::string& name, const MlpDescription& mlp) {
    add(name + ".gate_proj", mlp.gate);
    add(name + ".up_proj", mlp.up);
    add(name + ".down_proj", mlp.down);
  }
  template <class Part>
  void add(const std::string& name, const std::optional<Part>& part) {
    if (part) add(name, *part);
  }
  void add(const std::string& prefix, const AttentionDescription& attention) {
    add(prefix + "q_proj", attention.query);
    add(prefix + "k_proj.bias", attention.key.bias);
    add(prefix + "v_proj.bias", attention.value.bias);
    add(prefix + "o_proj", attention.output);
    add(prefix + "q_norm", attention.queryNorm);
    add(prefix + "k_norm", attention.keyNorm);
    add(prefix + "sinks", attention.sinks);
    if (!attention.latent) return;
    add(prefix + "latent.norm", attention.latent->latentNorm);
    add(prefix + "latent.expansion", attention.latent->expansion);
    add(prefix + "latent.query_reduction", attention.latent->queryReduction);
    add(prefix + "latent.query_norm", attention.latent->queryReductionNorm);
  }
  void add(const std::string& name, const FeedForwardDescription& feedForward) {
    if (!feedForward.router) return add(name, feedForward.experts.front());
    add(name + ".router", feedForward.router->linear);
    add(name + ".correction", feedForward.router->correction);
    for (std::size_t i = 0; i < feedForward.experts.size(); ++i)
      add(fmt::format("{}.experts.{}", name, i), feedForward.experts[i]);
    add(name + ".shared", feedForward.shared);
    add(name + ".shared_gate", feedForward.sharedGate);
  }
  std::vector<TensorRole> take() { return std::move(roles_); }

 private:
  std::vector<TensorRole> roles_;
};

}  // namespace

DecoderJson describeForModelCode(const DecoderDescription& description) {
  json kinds = json::array();
  DecoderJson result;
  for (const LayerDescription& layer : description.layers) {
    json block = describeBlock(layer);
    const auto found = std::find(kinds.begin(), kinds.end(), block);
    result.blocks.push_back(static_cast<int>(found - kinds.begin()));
    if (found == kinds.end()) kinds.push_back(std::move(block));
  }
  json ropes = json::array();
  for (const RopeDescription& rope : description.ropes) ropes.push_back(describeRope(rope));
  result.decoder = {{"embedding", describeEmbedding(description)},
                    {"blocks", std::move(kinds)},
                    {"head", describeHead(description.head)},
                    {"ropes", std::move(ropes)}};
  return result;
}

json configForModelCode(const json& base, const DecoderDescription& description) {
  const ModelShape& shape = description.shape;
  DecoderJson described = describeForModelCode(description);
  json layers = json::array();
  for (const int block : described.blocks) layers.push_back({{"block", block}});
  json config = {
      {"vocab_size", shape.vocabulary},
      {"hidden_size", shape.hiddenSize},
      {"intermediate_size", description.layers.front().feedForward.experts.front().up.out},
      {"num_hidden_layers", shape.layers},
      {"num_attention_heads", shape.queryHeads},
      {"num_key_value_heads", shape.kvHeads},
      {"head_dim", shape.headDim},
      {"max_position_embeddings", description.maximumPositions},
      {"tie_word_embeddings", description.head.linear.weight == description.embedding.weight},
      {"kvista", {{"base_config", base}, {"decoder", std::move(described.decoder)}, {"layers", std::move(layers)}}}};
  for (const json& part : {base.value("text_config", json::object()), base}) {
    for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"})
      if (part.contains(key)) config[key] = part[key];
    // 5.x calls it dtype but reads both.
    for (const char* key : {"dtype", "torch_dtype"})
      if (part.contains(key) && part[key].is_string()) config["torch_dtype"] = part[key];
  }
  return config;
}

std::string attentionPrefix(int layer) { return fmt::format("model.layers.{}.self_attn.", layer); }

std::vector<TensorRole> tensorRoles(const DecoderDescription& description) {
  Roles roles;
  const EmbeddingDescription& embedding = description.embedding;
  roles.add("model.embed_tokens.weight", embedding.weight);
  roles.add("model.project_in", embedding.projection);
  roles.add("model.embed_positions.weight", embedding.positions);
  roles.add("model.embed_norm", embedding.norm);
  for (std::size_t i = 0; i < description.layers.size(); ++i) {
    const LayerDescription& layer = description.layers[i];
    const std::string prefix = fmt::format("model.layers.{}.", i);
    roles.add(prefix + "input_layernorm", layer.attentionNorm);
    roles.add(attentionPrefix(static_cast<int>(i)), layer.attention);
    roles.add(prefix + "attention_output_norm", layer.attentionOutputNorm);
    roles.add(prefix + "post_attention_layernorm", layer.feedForwardNorm);
    roles.add(prefix + "mlp", layer.feedForward);
    roles.add(prefix + "feed_forward_output_norm", layer.feedForwardOutputNorm);
  }
  const HeadDescription& head = description.head;
  roles.add("model.norm", head.norm);
  roles.add("model.project_out", head.projection);
  if (head.linear.weight != embedding.weight) roles.add("lm_head.weight", head.linear.weight);
  roles.add("lm_head.bias", head.linear.bias);
  return roles.take();
}

}  // namespace kvista
