// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/families/layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

namespace kvista::families {

namespace {

constexpr std::pair<std::string_view, Activation> kActivations[] = {
    {"silu", Activation::silu},
    {"swish", Activation::silu},
    {"gelu", Activation::gelu},
    {"gelu_python", Activation::gelu},
    {"gelu_new", Activation::geluTanh},
    {"gelu_fast", Activation::geluTanh},
    {"gelu_pytorch_tanh", Activation::geluTanh},
    {"relu", Activation::relu},
    {"relu2", Activation::reluSquared},
};

/// A size; a text part may leave it out where the family's class has one.
Result<std::int64_t> readSize(const ConfigReader& config, std::string_view key, std::int64_t classSize,
                              std::int64_t maximum) {
  if (config.isPart() && classSize > 0) return config.integerOr(key, classSize, 1, maximum);
  return config.integer(key, 1, maximum);
}

/// The numbers of heads and their width, each alone and against each other.
Result<ModelShape> readShape(const ConfigReader& config, const Conventions& conventions) {
  const ClassSizes& sizes = conventions.sizes;
  KVISTA_ASSIGN(const std::int64_t layers,
                readSize(config, config.firstOf({"num_hidden_layers", "n_layer", "n_layers", "num_layers"}),
                         sizes.layers, kMaximumLayers));
  KVISTA_ASSIGN(
      const std::int64_t hiddenSize,
      readSize(config, config.firstOf({"hidden_size", "n_embd", "n_embed", "d_model"}), sizes.hidden, kMaximumWidth));
  KVISTA_ASSIGN(const std::int64_t vocabulary, readSize(config, "vocab_size", sizes.vocabulary, kMaximumVocabulary));
  const std::string_view headsKey = config.firstOf({"num_attention_heads", "n_head", "n_heads", "num_heads"});
  KVISTA_ASSIGN(const std::int64_t heads, readSize(config, headsKey, sizes.heads, kMaximumWidth));
  std::int64_t kvHeads = conventions.kvHeads.value_or(heads);
  if (const std::string_view key = conventions.kvHeadsKey; !key.empty()) {
    // transformers reads a written null as "as many as query heads", whatever the class's default is.
    KVISTA_ASSIGN(kvHeads, config.integerOr(key, config.isNull(key) ? heads : kvHeads, 1, kMaximumWidth));
    if (heads % kvHeads != 0) {
      return fail(ErrorCode::corruptFile,
                  fmt::format("{} is {}; it must divide {} {}.", config.describeField(key), kvHeads, headsKey, heads));
    }
  }
  const std::string_view headDimKey = conventions.headDimKey;
  if (!config.has(headDimKey) && !conventions.headDim && hiddenSize % heads != 0) {
    return fail(ErrorCode::corruptFile, fmt::format("{} is {}; it must divide hidden_size {} when there is no {}.",
                                                    config.describeField(headsKey), heads, hiddenSize, headDimKey));
  }
  KVISTA_ASSIGN(const std::int64_t headDim,
                config.integerOr(headDimKey, conventions.headDim.value_or(hiddenSize / heads), 1, kMaximumWidth));
  if (heads * headDim > kMaximumWidth) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: {} {} times {} {} is {}; at most {} is supported.", config.source(), headsKey, heads,
                            headDimKey, headDim, heads * headDim, kMaximumWidth));
  }
  if (layers * heads > kMaximumParts) {
    return fail(ErrorCode::corruptFile, fmt::format("{}: {} layers of {} heads each are {}; at most {} are supported.",
                                                    config.source(), layers, heads, layers * heads, kMaximumParts));
  }
  ModelShape shape;
  shape.layers = static_cast<int>(layers);
  shape.hiddenSize = static_cast<int>(hiddenSize);
  shape.vocabulary = static_cast<int>(vocabulary);
  shape.queryHeads = static_cast<int>(heads);
  shape.kvHeads = static_cast<int>(kvHeads);
  shape.headDim = static_cast<int>(headDim);
  shape.valueHeadDim = static_cast<int>(headDim);
  return shape;
}

Result<std::int64_t> readIntermediate(const ConfigReader& config, const Conventions& conventions, std::int64_t hidden) {
  const std::string_view key = conventions.intermediateKey;
  if (conventions.isFourfold && (key.empty() || !config.has(key))) return 4 * hidden;
  return readSize(config, key, conventions.sizes.intermediate, kMaximumVocabulary);
}

}  // namespace

Result<Activation> readActivation(const ConfigReader& config, std::string_view key, std::string_view absent) {
  KVISTA_ASSIGN(const std::string name, config.stringOr(key, std::string(absent)));
  std::vector<std::string_view> supported;
  for (const auto& [known, activation] : kActivations) {
    if (known == name) return activation;
    supported.push_back(known);
  }
  return fail(ErrorCode::unsupportedModel, fmt::format("{}: {} '{}' is not supported; supported: {}.", config.source(),
                                                       key, name, fmt::join(supported, ", ")));
}

Result<Layout> readLayout(const ConfigReader& config, const Conventions& conventions) {
  Layout layout;
  DecoderDescription& description = layout.description;
  KVISTA_ASSIGN(description.shape, readShape(config, conventions));
  KVISTA_ASSIGN(layout.intermediate, readIntermediate(config, conventions, description.shape.hiddenSize));
  layout.norms = conventions.norm;
  if (const std::string_view key = layout.norms.epsilonKey; !key.empty()) {
    KVISTA_ASSIGN(layout.norms.epsilon, config.positiveOr(key, layout.norms.epsilon));
  }
  KVISTA_ASSIGN(layout.activation, readActivation(config, conventions.activationKey, conventions.activation));
  KVISTA_ASSIGN(layout.isTied, config.booleanOr("tie_word_embeddings", conventions.isTied));
  const std::string_view positionsKey = config.firstOf({"max_position_embeddings", "n_positions", "max_seq_len"});
  KVISTA_ASSIGN(description.maximumPositions,
                config.integerOr(positionsKey, conventions.maximumPositions, 1, kMaximumPositions));
  if (conventions.rope) {
    RopeConventions rope = *conventions.rope;
    rope.maximumPositions = description.maximumPositions;
    KVISTA_ASSIGN(RopeDescription read, readRope(config, description.shape.headDim, rope));
    description.ropes.push_back(std::move(read));
  }
  description.layers.resize(static_cast<std::size_t>(description.shape.layers));
  return layout;
}

LinearDescription linear(const std::string& name, std::int64_t in, std::int64_t out, bool bias) {
  return {name + ".weight", bias ? name + ".bias" : "", in, out};
}

NormDescription Layout::norm(const std::string& name, std::int64_t width) const {
  return {.weight = norms.hasWeight ? name + ".weight" : "",
          .bias = norms.hasBias ? name + ".bias" : "",
          .width = width,
          .epsilon = norms.epsilon,
          .kind = norms.kind,
          .weightOffset = norms.weightOffset};
}

LinearDescription Layout::rows(const std::string& name, std::string_view part, TensorView view, std::int64_t in,
                               bool bias) {
  LinearDescription result{.in = in, .out = view.block * view.blocks};
  const auto add = [&](const char* suffix, bool isTransposed) {
    view.of = name + suffix;
    view.isTransposed = isTransposed;
    const std::string viewName = fmt::format("{}[{}]", view.of, part);
    description.views.insert_or_assign(viewName, view);
    return viewName;
  };
  result.weight = add(".weight", view.isTransposed);
  if (bias) result.bias = add(".bias", false);
  return result;
}

LinearDescription Layout::transposed(const std::string& name, std::int64_t in, std::int64_t out) {
  LinearDescription result = rows(name, "transposed", {.isTransposed = true, .block = out, .stride = out}, in, false);
  result.bias = name + ".bias";
  return result;
}

LinearDescription Layout::ofStack(const std::string& tensor, std::string_view part, int matrix, TensorView view,
                                  std::int64_t in) {
  LinearDescription result{
      .weight = fmt::format("{}[{} {}]", tensor, matrix, part), .in = in, .out = view.block * view.blocks};
  view.of = tensor;
  view.first += matrix * view.shape[view.isTransposed ? 2 : 1];
  description.views.insert_or_assign(result.weight, std::move(view));
  return result;
}

AttentionDescription Layout::attention(const std::string& prefix, const AttentionParts& parts) const {
  const ModelShape& shape = description.shape;
  const auto named = [&](std::string_view name) { return fmt::format("{}{}", prefix, name); };
  AttentionDescription attention;
  attention.query = linear(named(parts.query), hidden(), queryWidth(), parts.bias);
  attention.key = linear(named(parts.key), hidden(), shape.keyWidth(), parts.bias);
  attention.value = linear(named(parts.value), hidden(), shape.valueWidth(), parts.bias);
  attention.output = linear(named(parts.output), queryWidth(), hidden(), parts.outputBias);
  attention.scale = 1 / std::sqrt(static_cast<double>(shape.headDim));
  if (!description.ropes.empty()) attention.rope = 0;
  return attention;
}

AttentionDescription Layout::fusedAttention(const std::string& fused, const std::string& output, FusedOrder order,
                                            bool bias, bool isTransposed) {
  AttentionDescription result = attention("");
  const std::int64_t blocks = order == FusedOrder::byGroup ? description.shape.kvHeads : 1;
  const std::int64_t stride = (result.query.out + result.key.out + result.value.out) / blocks;
  std::int64_t first = 0;
  for (const auto& [part, projection] :
       {std::pair{"query", &result.query}, {"key", &result.key}, {"value", &result.value}}) {
    const TensorView view{.isTransposed = isTransposed,
                          .first = first,
                          .block = projection->out / blocks,
                          .stride = stride,
                          .blocks = blocks};
    *projection = rows(fused, part, view, hidden(), bias);
    first += view.block;
  }
  result.output =
      isTransposed ? transposed(output, queryWidth(), hidden()) : linear(output, queryWidth(), hidden(), bias);
  return result;
}

MlpDescription Layout::gatedMlp(const std::string& prefix, std::int64_t width, bool bias) const {
  return {.gate = linear(prefix + "gate_proj", hidden(), width, bias),
          .up = linear(prefix + "up_proj", hidden(), width, bias),
          .down = linear(prefix + "down_proj", width, hidden(), bias)};
}

MlpDescription Layout::fusedGatedMlp(const std::string& prefix) {
  const std::string fused = prefix + "gate_up_proj";
  const auto half = [&](std::string_view part, std::int64_t first) {
    return rows(fused, part, {.first = first, .block = intermediate, .stride = intermediate}, hidden(), false);
  };
  return {.gate = half("gate", 0),
          .up = half("up", intermediate),
          .down = linear(prefix + "down_proj", intermediate, hidden(), false)};
}

MlpDescription Layout::plainMlp(const std::string& up, const std::string& down, bool bias) const {
  return {
      .gate = {}, .up = linear(up, hidden(), intermediate, bias), .down = linear(down, intermediate, hidden(), bias)};
}

void Layout::normHeads(const std::string& prefix, LayerDescription& layer) const {
  layer.attention.queryNorm = norm(prefix + "q_norm", description.shape.headDim);
  layer.attention.keyNorm = norm(prefix + "k_norm", description.shape.headDim);
}

void Layout::normAllHeads(const std::string& prefix, LayerDescription& layer) const {
  layer.attention.queryNorm = norm(prefix + "q_norm", queryWidth());
  layer.attention.keyNorm = norm(prefix + "k_norm", description.shape.keyWidth());
}

void Layout::normAnswers(const std::string& prefix, LayerDescription& layer) const {
  layer.attentionNorm = std::nullopt;
  layer.attentionOutputNorm = norm(prefix + "post_attention_layernorm");
  layer.feedForwardNorm = std::nullopt;
  layer.feedForwardOutputNorm = norm(prefix + "post_feedforward_layernorm");
}

void Layout::fillAsLlama(const AttentionParts& parts, bool mlpBias) {
  embed("model.embed_tokens", "lm_head");
  eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attentionNorm = norm(at + "input_layernorm");
    layer.attention = attention(at + "self_attn.", parts);
    layer.feedForwardNorm = norm(at + "post_attention_layernorm");
    layer.feedForward = feedForward(gatedMlp(at + "mlp.", intermediate, mlpBias));
  });
  description.head.norm = norm("model.norm");
}

void Layout::embed(const std::string& embedding, const std::string& head, bool headBias) {
  description.embedding.weight = embedding + ".weight";
  description.embedding.width = hidden();
  description.head.linear = linear(head, hidden(), description.shape.vocabulary, headBias);
  if (isTied) description.head.linear.weight = description.embedding.weight;
}

Result<Layout> readLlama(const ConfigReader& config) {
  KVISTA_ASSIGN(
      Layout layout,
      readLayout(config,
                 {.sizes = {.layers = 32, .hidden = 4096, .heads = 32, .intermediate = 11008, .vocabulary = 32000}}));
  KVISTA_ASSIGN(const bool attentionBias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const bool mlpBias, config.booleanOr("mlp_bias", false));
  layout.fillAsLlama({.bias = attentionBias, .outputBias = attentionBias}, mlpBias);
  return layout;
}

Result<std::optional<std::int64_t>> readWindow(const ConfigReader& config, std::optional<std::int64_t> absent) {
  if (config.isNull("sliding_window") || (!absent && !config.has("sliding_window"))) return std::nullopt;
  KVISTA_ASSIGN(const std::int64_t window,
                config.integerOr("sliding_window", absent.value_or(0), 1, kMaximumPositions));
  return window;
}

Result<std::optional<std::int64_t>> readSwitchedWindow(const ConfigReader& config, std::optional<std::int64_t> absent) {
  KVISTA_ASSIGN(const bool isOn, config.booleanOr("use_sliding_window", false));
  if (!isOn) return std::nullopt;
  return readWindow(config, absent);
}

Result<void> readSlidingLayers(const ConfigReader& config, std::optional<std::int64_t> window,
                               const std::function<bool(int)>& absent, Layout& layout) {
  if (!window) return {};
  std::vector<LayerDescription>& layers = layout.description.layers;
  std::vector<std::string> types;
  if (config.has("layer_types")) {
    KVISTA_ASSIGN(types, config.stringList("layer_types", layers.size()));
  }
  for (std::size_t index = 0; index < layers.size(); ++index) {
    bool slides = absent(static_cast<int>(index));
    if (!types.empty()) {
      slides = types[index] == "sliding_attention";
      if (!slides && types[index] != "full_attention") {
        return fail(ErrorCode::unsupportedModel,
                    fmt::format("{}[{}] is '{}', which is not supported; supported: full_attention, sliding_attention.",
                                config.describeField("layer_types"), index, types[index]));
      }
    }
    if (slides) layers[index].attention.slidingWindow = window;
  }
  return {};
}

Result<std::vector<bool>> readSparseLayers(const ConfigReader& config, const Layout& layout) {
  KVISTA_ASSIGN(const std::int64_t step, config.integerOr("decoder_sparse_step", 1, 1, kMaximumLayers));
  std::vector<std::int64_t> dense;
  if (config.has("mlp_only_layers")) {
    KVISTA_ASSIGN(dense, config.integerList("mlp_only_layers", 0, kMaximumLayers));
  }
  std::vector<bool> sparse;
  for (int layer = 0; layer < layout.description.shape.layers; ++layer)
    sparse.push_back((layer + 1) % step == 0 && std::ranges::find(dense, layer) == dense.end());
  return sparse;
}

Result<Mixture> readMixture(const ConfigReader& config, const MixtureConventions& conventions, const Layout& layout) {
  const auto read = [&](std::string_view key, std::int64_t absent, std::int64_t maximum) {
    return absent > 0 ? config.integerOr(key, absent, 1, maximum) : config.integer(key, 1, maximum);
  };
  KVISTA_ASSIGN(const std::int64_t experts, read(conventions.expertsKey, conventions.experts, kMaximumParts));
  KVISTA_ASSIGN(const std::int64_t perToken, read(conventions.perTokenKey, conventions.perToken, experts));
  KVISTA_ASSIGN(const std::int64_t width, read(conventions.widthKey, conventions.width, kMaximumWidth));
  if (const std::int64_t layers = layout.description.shape.layers; layers * experts > kMaximumParts) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: {} layers of {} experts each are {}; at most {} are supported.", config.source(),
                            layers, experts, layers * experts, kMaximumParts));
  }
  return Mixture{static_cast<int>(experts), static_cast<int>(perToken), width};
}

Result<void> fillAsGemma2(const ConfigReader& config, const CapConventions& caps, Layout& layout) {
  KVISTA_ASSIGN(const bool looksAhead, config.booleanOr("use_bidirectional_attention", false));
  if (looksAhead) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{} is true; only models whose tokens see those before them are supported.",
                            config.describeField("use_bidirectional_attention")));
  }
  const auto cap = [&](std::string_view key, double absent) {
    return config.positiveOr(key, config.isNull(key) ? 0 : absent);
  };
  KVISTA_ASSIGN(const double scoreCap, cap("attn_logit_softcapping", caps.scores));
  KVISTA_ASSIGN(const bool bias, config.booleanOr("attention_bias", false));
  KVISTA_ASSIGN(const double scalar, config.positiveOr("query_pre_attn_scalar", 256));
  layout.fillAsLlama({.bias = bias, .outputBias = bias});
  layout.eachLayer("model.layers.", [&](const std::string& at, LayerDescription& layer, int) {
    layer.attention.scale = 1 / std::sqrt(scalar);
    layer.attention.scoreCap = scoreCap;
    layer.attentionOutputNorm = layout.norm(at + "post_attention_layernorm");
    layer.feedForwardNorm = layout.norm(at + "pre_feedforward_layernorm");
    layer.feedForwardOutputNorm = layout.norm(at + "post_feedforward_layernorm");
  });
  layout.description.embedding.multiplier = std::sqrt(static_cast<double>(layout.hidden()));
  KVISTA_ASSIGN(layout.description.head.cap, cap("final_logit_softcapping", caps.logits));
  return {};
}

std::vector<double> linearBiasSlopes(int heads) {
  const auto powers = static_cast<int>(std::bit_floor(static_cast<unsigned>(heads)));
  std::vector<double> slopes;
  for (int head = 0; head < heads; ++head) {
    slopes.push_back(head < powers ? std::exp2(-8.0 * (head + 1) / powers)
                                   : std::exp2(-4.0 * (2 * (head - powers) + 1) / powers));
  }
  return slopes;
}

}  // namespace kvista::families
