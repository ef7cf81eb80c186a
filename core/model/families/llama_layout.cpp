// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/llama_layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace kvista::families {

namespace {

Result<Activation> readActivation(const ConfigReader& config) {
  static const std::vector<std::pair<std::string, Activation>> kActivations = {
      {"silu", Activation::silu},
      {"swish", Activation::silu},
      {"gelu", Activation::gelu},
      {"gelu_new", Activation::geluTanh},
      {"gelu_pytorch_tanh", Activation::geluTanh},
      {"relu", Activation::relu},
  };
  KVISTA_ASSIGN(const std::string name, config.stringOr("hidden_act", "silu"));
  for (const auto& [known, activation] : kActivations) {
    if (known == name) return activation;
  }
  std::vector<std::string> supported;
  for (const auto& [known, activation] : kActivations) supported.push_back(known);
  return fail(ErrorCode::unsupportedModel, fmt::format("{}: hidden_act '{}' is not supported; supported: {}.",
                                                       config.source(), name, fmt::join(supported, ", ")));
}

/// The numbers of heads and their width, each alone and against each other.
Result<ModelShape> readShape(const ConfigReader& config, const LlamaVariant& variant) {
  ModelShape shape;
  const auto number = [&](const char* key, std::int64_t maximum) { return config.integer(key, 1, maximum); };
  KVISTA_ASSIGN(const std::int64_t layers, number("num_hidden_layers", kMaximumLayers));
  KVISTA_ASSIGN(const std::int64_t hiddenSize, number("hidden_size", kMaximumWidth));
  KVISTA_ASSIGN(const std::int64_t vocabulary, number("vocab_size", kMaximumVocabulary));
  KVISTA_ASSIGN(const std::int64_t heads, number("num_attention_heads", kMaximumWidth));
  // transformers reads a written null as "as many as query heads", whatever the class's default is.
  const std::int64_t absentKvHeads = config.isNull("num_key_value_heads") ? heads : variant.kvHeads.value_or(heads);
  KVISTA_ASSIGN(const std::int64_t kvHeads, config.integerOr("num_key_value_heads", absentKvHeads, 1, kMaximumWidth));
  if (heads % kvHeads != 0) {
    return fail(ErrorCode::corruptFile, fmt::format("{} is {}; it must divide num_attention_heads {}.",
                                                    config.describeField("num_key_value_heads"), kvHeads, heads));
  }
  if (!config.has("head_dim") && !variant.headDim && hiddenSize % heads != 0) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{} is {}; it must divide hidden_size {} when there is no head_dim.",
                            config.describeField("num_attention_heads"), heads, hiddenSize));
  }
  KVISTA_ASSIGN(const std::int64_t headDim,
                config.integerOr("head_dim", variant.headDim.value_or(hiddenSize / heads), 1, kMaximumWidth));
  if (heads * headDim > kMaximumWidth) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: num_attention_heads {} times head_dim {} is {}; at most {} is supported.",
                            config.source(), heads, headDim, heads * headDim, kMaximumWidth));
  }
  if (headDim % 2 != 0) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: a head's width is {}; rotary embedding needs an even one.", config.source(), headDim));
  }
  shape.layers = static_cast<int>(layers);
  shape.hiddenSize = static_cast<int>(hiddenSize);
  shape.vocabulary = static_cast<int>(vocabulary);
  shape.queryHeads = static_cast<int>(heads);
  shape.kvHeads = static_cast<int>(kvHeads);
  shape.headDim = static_cast<int>(headDim);
  shape.valueHeadDim = static_cast<int>(headDim);
  return shape;
}

LinearDescription linear(const std::string& name, std::int64_t in, std::int64_t out, bool bias) {
  return {name + ".weight", bias ? name + ".bias" : "", in, out};
}

}  // namespace

Result<DecoderDescription> describeLlamaLayout(const ConfigReader& config, const LlamaVariant& variant) {
  DecoderDescription description;
  KVISTA_ASSIGN(description.shape, readShape(config, variant));
  const ModelShape& shape = description.shape;
  KVISTA_ASSIGN(const std::int64_t intermediate, config.integer("intermediate_size", 1, kMaximumVocabulary));
  KVISTA_ASSIGN(const double epsilon, config.positiveOr("rms_norm_eps", 1e-6));
  KVISTA_ASSIGN(const Activation activation, readActivation(config));
  KVISTA_ASSIGN(const bool tied, config.booleanOr("tie_word_embeddings", false));
  KVISTA_ASSIGN(description.maximumPositions,
                config.integerOr("max_position_embeddings", variant.maximumPositions, 1, kMaximumPositions));
  KVISTA_ASSIGN(const double partial, config.positiveOr("partial_rotary_factor", 1));
  if (partial != 1) {
    return fail(ErrorCode::unsupportedModel, fmt::format("{} is {}; this family rotates whole heads (1).",
                                                         config.describeField("partial_rotary_factor"), partial));
  }
  KVISTA_ASSIGN(description.rope, readRope(config, shape.headDim, {.maximumPositions = description.maximumPositions}));
  description.attentionScale = 1 / std::sqrt(static_cast<double>(shape.headDim));

  const std::int64_t hidden = shape.hiddenSize;
  const std::int64_t queryWidth = std::int64_t{shape.queryHeads} * shape.headDim;
  const auto norm = [&](const std::string& name, std::int64_t width) {
    return NormDescription{name + ".weight", width, epsilon};
  };
  description.embedding = "model.embed_tokens.weight";
  for (int index = 0; index < shape.layers; ++index) {
    const std::string prefix = fmt::format("model.layers.{}.", index);
    const std::string attention = prefix + "self_attn.";
    LayerDescription layer;
    layer.attentionNorm = norm(prefix + "input_layernorm", hidden);
    layer.attention.query = linear(attention + "q_proj", hidden, queryWidth, variant.queryKeyValueBias);
    layer.attention.key = linear(attention + "k_proj", hidden, shape.keyWidth(), variant.queryKeyValueBias);
    layer.attention.value = linear(attention + "v_proj", hidden, shape.valueWidth(), variant.queryKeyValueBias);
    layer.attention.output = linear(attention + "o_proj", queryWidth, hidden, variant.outputBias);
    if (variant.headNorms) {
      layer.attention.queryNorm = norm(attention + "q_norm", shape.headDim);
      layer.attention.keyNorm = norm(attention + "k_norm", shape.headDim);
    }
    layer.mlpNorm = norm(prefix + "post_attention_layernorm", hidden);
    layer.mlp.gate = linear(prefix + "mlp.gate_proj", hidden, intermediate, variant.mlpBias);
    layer.mlp.up = linear(prefix + "mlp.up_proj", hidden, intermediate, variant.mlpBias);
    layer.mlp.down = linear(prefix + "mlp.down_proj", intermediate, hidden, variant.mlpBias);
    layer.mlp.activation = activation;
    description.layers.push_back(std::move(layer));
  }
  description.finalNorm = norm("model.norm", hidden);
  description.head = {tied ? description.embedding : "lm_head.weight", "", hidden, shape.vocabulary};
  return description;
}

Result<void> readQwenWindows(const ConfigReader& config, DecoderDescription& description) {
  KVISTA_ASSIGN(const bool used, config.booleanOr("use_sliding_window", false));
  if (!used || config.isNull("sliding_window")) return {};
  KVISTA_ASSIGN(const std::int64_t window, config.integerOr("sliding_window", 4096, 1, kMaximumPositions));
  KVISTA_ASSIGN(const std::int64_t firstLayer, config.integerOr("max_window_layers", 28, 0, kMaximumLayers));
  const std::size_t layers = description.layers.size();
  std::vector<std::string> types;
  if (config.has("layer_types")) {
    KVISTA_ASSIGN(types, config.stringList("layer_types", layers));
  }
  for (std::size_t index = 0; index < layers; ++index) {
    bool slides = static_cast<std::int64_t>(index) >= firstLayer;
    if (!types.empty()) {
      slides = types[index] == "sliding_attention";
      if (!slides && types[index] != "full_attention") {
        return fail(ErrorCode::unsupportedModel,
                    fmt::format("{}[{}] is '{}', which is not supported; supported: full_attention, "
                                "sliding_attention.",
                                config.describeField("layer_types"), index, types[index]));
      }
    }
    if (slides) description.layers[index].attention.slidingWindow = window;
  }
  return {};
}

}  // namespace kvista::families
