// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/gguf/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

namespace kvista {
namespace {

using nlohmann::json;

/// Keys of one architecture. The first number that does not fit stays as an error.
class Keys {
 public:
  Keys(GgufMetadata& metadata, std::string_view architecture) : metadata_(metadata), architecture_(architecture) {}

  void integer(std::string_view name, std::int64_t value) {
    if (value < 0 || value > std::numeric_limits<std::uint32_t>::max())
      error_ = fmt::format("{} is {}, which 32 bits do not hold", name, value);
    metadata_.set(key(name), static_cast<std::uint32_t>(value));
  }
  void real(std::string_view name, double value) { metadata_.set(key(name), static_cast<float>(value)); }
  void boolean(std::string_view name, bool value) { metadata_.set(key(name), value); }
  void text(std::string_view name, std::string value) { metadata_.set(key(name), std::move(value)); }

  [[nodiscard]] Result<void> check() const {
    if (error_.empty()) return {};
    return fail(ErrorCode::invalidArgument, fmt::format("The model cannot be written into a GGUF file: {}.", error_),
                "Export with --container safetensors.");
  }

 private:
  [[nodiscard]] std::string key(std::string_view name) const { return fmt::format("{}.{}", architecture_, name); }

  GgufMetadata& metadata_;
  std::string_view architecture_;
  std::string error_;
};

TensorToWrite table(std::string name, const std::vector<double>& numbers) {
  const auto held = std::make_shared<std::vector<float>>(numbers.begin(), numbers.end());
  return {std::move(name), {static_cast<std::int64_t>(held->size())}, DataType::f32, [held] {
            return Result<std::span<const std::byte>>(std::as_bytes(std::span(*held)));
          }};
}

/// The object of config.json that the rope was read from, as far as yarn's ramp goes; empty where there is none.
json ropeObject(const json& config) {
  const json& whole =
      config.contains("text_config") && config["text_config"].is_object() ? config["text_config"] : config;
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!whole.contains(key) || !whole[key].is_object() || whole[key].empty()) continue;
    return whole[key].contains("full_attention") ? whole[key]["full_attention"] : whole[key];
  }
  return json::object();
}

void addYarn(const RopeDescription& rope, const json& config, Keys& keys) {
  const json given = ropeObject(config);
  keys.text("rope.scaling.type", "yarn");
  keys.real("rope.scaling.factor", rope.factor);
  keys.integer("rope.scaling.original_context_length", rope.trainedLength);
  for (const auto& [key, name] :
       {std::pair("beta_fast", "rope.scaling.yarn_beta_fast"), std::pair("beta_slow", "rope.scaling.yarn_beta_slow")})
    if (given.contains(key) && given[key].is_number()) keys.real(name, given[key].get<double>());
}

/// GGUF's factor multiplies what yarn's temperature is without one.
void addYarnTemperature(const RopeDescription& rope, Keys& keys) {
  const double usual = rope.factor > 1 ? 0.1 * std::log(rope.factor) + 1 : 1;
  if (std::abs(rope.attentionFactor / usual - 1) > 1e-6)
    keys.real("rope.scaling.attn_factor", rope.attentionFactor / usual);
}

/// Architectures for which llama.cpp reads tables of frequencies: one list, and one for short and one for long text.
constexpr std::array<std::string_view, 2> kWithFrequencies = {"llama", "granite"};
constexpr std::array<std::string_view, 2> kWithTwoLists = {"llama", "phi3"};

Result<void> addRope(const DecoderDescription& description, const json& config, const GgufArchitecture& architecture,
                     Keys& keys, std::vector<TensorToWrite>& tables) {
  RopeDescription rope = description.ropes.front();
  const bool isOneList =
      rope.type == RopeType::longrope && rope.factors == rope.longFactors && rope.attentionFactor == 1;
  if (isOneList && architecture.name != "phi3") rope.type = RopeType::factors;
  const auto refuseUnless = [&](std::span<const std::string_view> known) -> Result<void> {
    if (std::ranges::find(known, architecture.name) != known.end()) return {};
    return fail(ErrorCode::unsupportedModel,
                fmt::format("llama.cpp's architecture '{}' knows no tables of rotary frequencies.", architecture.name));
  };
  keys.integer("rope.dimension_count", rope.rotaryDim);
  keys.real("rope.freq_base", rope.theta);
  switch (rope.type) {
    case RopeType::standard:
      break;
    case RopeType::linear:
      keys.text("rope.scaling.type", "linear");
      keys.real("rope.scaling.factor", rope.factor);
      break;
    case RopeType::yarn:
      addYarn(rope, config, keys);
      if (!description.layers.front().attention.latent) addYarnTemperature(rope, keys);
      break;
    case RopeType::llama3:
    case RopeType::factors: {
      KVISTA_CHECK(refuseUnless(kWithFrequencies));
      RopeDescription unscaled = rope;
      unscaled.type = RopeType::standard;
      std::vector<double> factors = inverseFrequencies(unscaled, 1);
      const std::vector<double> scaled = inverseFrequencies(rope, 1);
      for (std::size_t pair = 0; pair < factors.size(); ++pair) factors[pair] /= scaled[pair];
      tables.push_back(table("rope_freqs.weight", factors));
      break;
    }
    case RopeType::longrope:
      KVISTA_CHECK(refuseUnless(kWithTwoLists));
      if (architecture.name != "phi3") keys.text("rope.scaling.type", "longrope");
      keys.integer("rope.scaling.original_context_length", rope.trainedLength);
      keys.real("rope.scaling.attn_factor", rope.attentionFactor);
      tables.push_back(table("rope_factors_long.weight", rope.longFactors));
      tables.push_back(table("rope_factors_short.weight", rope.factors));
      break;
    case RopeType::dynamic:
      return fail(
          ErrorCode::unsupportedModel,
          "A GGUF file cannot say that rotary frequencies grow with the length of the text (rope_type dynamic).",
          "Export with --container safetensors.");
  }
  return {};
}

/// Width of the MLP of the first layer without experts, or else of an expert.
std::int64_t feedForwardWidth(const DecoderDescription& description) {
  const auto plain =
      std::ranges::find_if(description.layers, [](const LayerDescription& layer) { return !layer.feedForward.router; });
  return (plain == description.layers.end() ? description.layers.front() : *plain).feedForward.experts.front().up.out;
}

void addExperts(const DecoderDescription& description, Keys& keys) {
  const auto mixed = std::ranges::find_if(
      description.layers, [](const LayerDescription& layer) { return layer.feedForward.router.has_value(); });
  if (mixed == description.layers.end()) return;
  keys.integer("expert_count", static_cast<std::int64_t>(mixed->feedForward.experts.size()));
  keys.integer("expert_used_count", mixed->feedForward.router->perToken);
  keys.integer("expert_feed_forward_length", mixed->feedForward.experts.front().up.out);
}

void addLatentAttention(const DecoderDescription& description, Keys& keys, std::vector<std::string>& notes) {
  const AttentionDescription& attention = description.layers.front().attention;
  const LatentAttentionDescription& latent = *attention.latent;
  const int rotated = description.shape.headDim;
  keys.integer("attention.key_length", latent.latentNorm.width + rotated);
  keys.integer("attention.value_length", latent.latentNorm.width);
  keys.integer("attention.key_length_mla", latent.keyWidth + rotated);
  keys.integer("attention.value_length_mla", latent.valueWidth);
  keys.integer("attention.kv_lora_rank", latent.latentNorm.width);
  keys.integer("attention.q_lora_rank", latent.queryReduction ? latent.queryReduction->out : 0);
  const auto mixed = std::ranges::find_if(
      description.layers, [](const LayerDescription& layer) { return layer.feedForward.router.has_value(); });
  keys.integer("leading_dense_block_count", mixed - description.layers.begin());
  std::int64_t shared = 0;
  if (mixed != description.layers.end()) {
    const FeedForwardDescription& feedForward = mixed->feedForward;
    if (feedForward.shared) shared = feedForward.shared->up.out / feedForward.experts.front().up.out;
    keys.real("expert_weights_scale", feedForward.router->scale);
    keys.boolean("expert_weights_norm", feedForward.router->renormalises);
    keys.integer("expert_gating_func", 1);  // softmax
    if (feedForward.router->groups > 1) {
      keys.integer("expert_group_count", feedForward.router->groups);
      keys.integer("expert_group_used_count", feedForward.router->chosenGroups);
      notes.push_back(
          "llama.cpp chooses groups of experts by their two best, the model by the best alone: it computes something "
          "else.");
    }
  } else {
    keys.integer("expert_feed_forward_length", feedForwardWidth(description));
  }
  keys.integer("expert_shared_count", shared);
  // The square of yarn's temperature is in the scale of the scores.
  if (description.ropes.front().type != RopeType::yarn) return;
  const double temperature = std::sqrt(attention.scale * std::sqrt(static_cast<double>(latent.keyWidth + rotated)));
  const double multiplier = (temperature - 1) / std::log(description.ropes.front().factor);
  if (multiplier > 1e-9) keys.real("rope.scaling.yarn_log_multiplier", multiplier);
}

/// Architectures whose sliding windows llama.cpp computes with.
constexpr std::array<std::string_view, 2> kWithWindows = {"gemma2", "gemma3"};

/// Architectures that llama.cpp knows only with heads that together are as wide as the residual stream.
constexpr std::array<std::string_view, 14> kWithFullWidth = {"qwen2", "phi2",    "phi3",      "starcoder", "starcoder2",
                                                             "gpt2",  "gptneox", "bloom",     "falcon",    "stablelm",
                                                             "olmo",  "olmo2",   "command-r", "chatglm"};
/// And those that it knows only with a head apart from the embedding.
constexpr std::array<std::string_view, 4> kWithOwnHead = {"phi2", "gptneox", "stablelm", "olmo2"};

bool isAmong(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

Result<void> checkLimits(const DecoderDescription& description, const GgufArchitecture& architecture) {
  const ModelShape& shape = description.shape;
  if (isAmong(kWithFullWidth, architecture.name) && shape.queryHeads * shape.headDim != shape.hiddenSize)
    return fail(ErrorCode::unsupportedModel,
                fmt::format("llama.cpp's architecture '{}' has heads that together are as wide as the hidden size; {} "
                            "heads of {} are not {}.",
                            architecture.name, shape.queryHeads, shape.headDim, shape.hiddenSize));
  // What tells Command R+ from Command R.
  if (architecture.name == "command-r" &&
      (shape.layers >= 64) != description.layers.front().attention.queryNorm.has_value())
    return fail(ErrorCode::unsupportedModel,
                fmt::format("llama.cpp's architecture 'command-r' norms queries and keys from 64 layers on and not "
                            "before; the model has {} layers {} these norms.",
                            shape.layers, description.layers.front().attention.queryNorm ? "with" : "without"));
  if (isAmong(kWithOwnHead, architecture.name) && description.head.linear.weight == description.embedding.weight)
    return fail(ErrorCode::unsupportedModel,
                fmt::format("llama.cpp's architecture '{}' has a head apart from the embedding; the model's are one.",
                            architecture.name));
  return {};
}

bool reads(const GgufArchitecture& architecture, std::string_view key) {
  return std::ranges::find(architecture.keys, key) != architecture.keys.end();
}

}  // namespace

Result<GgufModelMetadata> describeInGguf(const DecoderDescription& description, const json& config,
                                         const GgufArchitecture& architecture) {
  KVISTA_CHECK(checkLimits(description, architecture));
  GgufModelMetadata out;
  out.metadata.set("general.architecture", std::string(architecture.name));
  out.metadata.set("general.type", std::string("model"));
  Keys keys(out.metadata, architecture.name);
  const ModelShape& shape = description.shape;
  const LayerDescription& first = description.layers.front();
  keys.integer("block_count", shape.layers);
  keys.integer("context_length", description.maximumPositions);
  keys.integer("embedding_length", shape.hiddenSize);
  keys.integer("feed_forward_length", feedForwardWidth(description));
  keys.integer("vocab_size", shape.vocabulary);
  keys.integer("attention.head_count", shape.queryHeads);
  keys.integer("attention.head_count_kv", shape.kvHeads);
  const NormDescription& norm = description.head.norm ? *description.head.norm : *first.attentionNorm;
  keys.real(architecture.hasLayerNorm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
            norm.epsilon);
  if (first.attention.latent) {
    addLatentAttention(description, keys, out.notes);
  } else {
    keys.integer("attention.key_length", shape.headDim);
    keys.integer("attention.value_length", shape.valueHeadDim);
  }
  addExperts(description, keys);
  for (const LayerDescription& layer : description.layers) {
    if (!layer.attention.slidingWindow) continue;
    const std::int64_t window = *layer.attention.slidingWindow;
    keys.integer("attention.sliding_window", window);
    if (window < description.maximumPositions && !isAmong(kWithWindows, architecture.name))
      out.notes.push_back(
          fmt::format("llama.cpp looks at all tokens in models of the architecture '{}': text longer than the sliding "
                      "window of {} tokens is computed otherwise there.",
                      architecture.name, window));
    break;
  }
  if (first.attention.scoreCap > 0) keys.real("attn_logit_softcapping", first.attention.scoreCap);
  if (description.head.cap > 0) keys.real("final_logit_softcapping", description.head.cap);
  if (first.attention.clip > 0) keys.real("attention.clamp_kqv", first.attention.clip);
  if (reads(architecture, "attention.scale")) keys.real("attention.scale", first.attention.scale);
  if (reads(architecture, "embedding_scale")) keys.real("embedding_scale", description.embedding.multiplier);
  if (reads(architecture, "residual_scale")) keys.real("residual_scale", first.residualMultiplier);
  // Granite's is what logits are divided by, Cohere's what they are multiplied with.
  if (reads(architecture, "logit_scale"))
    keys.real("logit_scale",
              architecture.name == "granite" ? 1 / description.head.multiplier : description.head.multiplier);
  if (architecture.name == "gptneox") keys.boolean("use_parallel_residual", first.arrangement == Arrangement::parallel);
  if (architecture.rope != GgufRope::none) {
    if (description.ropes.empty())
      return fail(
          ErrorCode::unsupportedModel,
          fmt::format("GGUF's architecture '{}' has rotary embeddings, the model has none.", architecture.name));
    KVISTA_CHECK(addRope(description, config, architecture, keys, out.tensors));
  }
  if (description.ropes.size() > 1) keys.real("rope.freq_base_swa", description.ropes[1].theta);
  KVISTA_CHECK(keys.check());
  return out;
}

}  // namespace kvista
