// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/decoder_json.h"

#include <fmt/format.h>

#include <string_view>

namespace kvista {

namespace {

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
  }
  return "";
}

nlohmann::json describeRope(const RopeDescription& rope) {
  nlohmann::json json = {{"rotary_dim", rope.rotaryDim}, {"scale", rope.attentionFactor}};
  if (rope.type == RopeType::dynamic) {
    json["dynamic"] = {{"theta", rope.theta}, {"factor", rope.factor}, {"trained_length", rope.trainedLength}};
    return json;
  }
  json["inverse_frequencies"] = inverseFrequencies(rope, 1);
  if (rope.type == RopeType::longrope) {
    json["trained_length"] = rope.trainedLength;
    json["long_inverse_frequencies"] = inverseFrequencies(rope, rope.trainedLength + 1);
  }
  return json;
}

/// What the model code takes to be the same in all layers.
nlohmann::json describeLayer(const LayerDescription& layer) {
  const AttentionDescription& attention = layer.attention;
  nlohmann::json biases = nlohmann::json::array();
  if (!attention.query.bias.empty()) biases.push_back("query");
  if (!attention.key.bias.empty()) biases.push_back("key");
  if (!attention.value.bias.empty()) biases.push_back("value");
  if (!attention.output.bias.empty()) biases.push_back("output");
  if (!layer.mlp.up.bias.empty()) biases.push_back("mlp");
  return {{"norm_epsilon", layer.attentionNorm.epsilon},
          {"activation", nameOf(layer.mlp.activation)},
          {"biases", std::move(biases)},
          {"query_key_norm", attention.keyNorm.has_value()}};
}

}  // namespace

Result<DecoderJson> describeForModelCode(const DecoderDescription& description) {
  DecoderJson result;
  result.decoder = describeLayer(description.layers.front());
  for (std::size_t i = 0; i < description.layers.size(); ++i) {
    const LayerDescription& layer = description.layers[i];
    if (describeLayer(layer) != result.decoder || layer.mlp.up.out != description.layers.front().mlp.up.out) {
      return fail(ErrorCode::unsupportedModel,
                  fmt::format("Layer {} is built differently from layer 0; the form latent needs layers of one kind.", i),
                  "Export the form dense.");
    }
    const auto& window = layer.attention.slidingWindow;
    result.layers.push_back({{"rope", 0}, {"window", window ? nlohmann::json(*window) : nlohmann::json(nullptr)}});
  }
  result.decoder["attention_scale"] = description.attentionScale;
  result.decoder["value_head_dim"] = description.shape.valueHeadDim;
  result.decoder["ropes"] = nlohmann::json::array({describeRope(description.rope)});
  return result;
}

std::string attentionPrefix(int layer) { return fmt::format("model.layers.{}.self_attn.", layer); }

std::vector<TensorRole> tensorRoles(const DecoderDescription& description) {
  std::vector<TensorRole> roles;
  const auto add = [&](const std::string& name, const LinearDescription& linear) {
    roles.push_back({name + ".weight", linear.weight});
    if (!linear.bias.empty()) roles.push_back({name + ".bias", linear.bias});
  };
  const auto addBias = [&](const std::string& name, const LinearDescription& linear) {
    if (!linear.bias.empty()) roles.push_back({name + ".bias", linear.bias});
  };
  roles.push_back({"model.embed_tokens.weight", description.embedding});
  for (std::size_t i = 0; i < description.layers.size(); ++i) {
    const LayerDescription& layer = description.layers[i];
    const std::string attention = attentionPrefix(static_cast<int>(i));
    const std::string prefix = fmt::format("model.layers.{}.", i);
    roles.push_back({prefix + "input_layernorm.weight", layer.attentionNorm.weight});
    add(attention + "q_proj", layer.attention.query);
    addBias(attention + "k_proj", layer.attention.key);
    addBias(attention + "v_proj", layer.attention.value);
    add(attention + "o_proj", layer.attention.output);
    if (layer.attention.queryNorm) roles.push_back({attention + "q_norm.weight", layer.attention.queryNorm->weight});
    if (layer.attention.keyNorm) roles.push_back({attention + "k_norm.weight", layer.attention.keyNorm->weight});
    roles.push_back({prefix + "post_attention_layernorm.weight", layer.mlpNorm.weight});
    add(prefix + "mlp.gate_proj", layer.mlp.gate);
    add(prefix + "mlp.up_proj", layer.mlp.up);
    add(prefix + "mlp.down_proj", layer.mlp.down);
  }
  roles.push_back({"model.norm.weight", description.finalNorm.weight});
  if (description.head.weight != description.embedding) add("lm_head", description.head);
  return roles;
}

}  // namespace kvista
