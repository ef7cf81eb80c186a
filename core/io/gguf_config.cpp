// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "core/io/gguf_convert.h"
#include "core/io/gguf_dequantise.h"

namespace kvista {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kArchitectures = {"llama", "qwen2", "qwen3"};
constexpr std::size_t kMaximumLayers = 1 << 16;

/// Keys that change what the model computes in ways that the architectures read here do not, and the value with which
/// they change nothing.
struct NeutralKey {
  std::string_view key;
  double neutral;
};
constexpr NeutralKey kNeutralKeys[] = {
    {"expert_count", 0},
    {"expert_used_count", 0},
    {"attention.clamp_kqv", 0},
    {"attention.max_alibi_bias", 0},
    {"attention.temperature_scale", 0},
    {"logit_scale", 1},
    {"residual_scale", 1},
    {"embedding_scale", 1},
    {"attn_logit_softcapping", 0},
    {"final_logit_softcapping", 0},
    {"nextn_predict_layers", 0},
    {"rope.scaling.yarn_log_multiplier", 0},
};

/// Reads keys of one architecture ("llama.block_count").
class ConfigReader {
 public:
  ConfigReader(const GgufFile& file, std::string_view architecture) : file_(file), architecture_(architecture) {}

  [[nodiscard]] std::string key(std::string_view name) const { return fmt::format("{}.{}", architecture_, name); }

  [[nodiscard]] Result<std::optional<double>> real(std::string_view name) const { return file_.real(key(name)); }

  /// An integer, or an array that says the same integer for every layer.
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view name) const {
    const std::string full = key(name);
    const GgufValue* value = file_.find(full);
    if (value == nullptr || !std::holds_alternative<GgufArray>(*value)) return file_.integer(full);
    KVISTA_ASSIGN(const auto numbers, file_.numbers(full, kMaximumLayers));
    if (numbers.empty()) return file_.corrupt(fmt::format("metadata key '{}' is an empty array.", full));
    for (const double number : numbers)
      if (number != numbers.front())
        return file_.unsupported(
            fmt::format("metadata key '{}' differs between layers ({} and {}), which is not supported.", full,
                        numbers.front(), number));
    if (!(numbers.front() >= 0 && numbers.front() < 0x1p53) || numbers.front() != std::floor(numbers.front()))
      return file_.corrupt(fmt::format("metadata key '{}' must hold integers.", full));
    return static_cast<std::int64_t>(numbers.front());
  }

  [[nodiscard]] Result<std::int64_t> required(std::string_view name) const {
    KVISTA_ASSIGN(const auto value, integer(name));
    if (!value) return file_.corrupt(fmt::format("metadata key '{}' is missing.", key(name)));
    if (*value == 0) return file_.corrupt(fmt::format("metadata key '{}' is 0.", key(name)));
    return *value;
  }

  [[nodiscard]] Result<void> refuseUnsupported() const {
    for (const NeutralKey& entry : kNeutralKeys) {
      KVISTA_ASSIGN(const auto value, real(entry.key));
      if (value && *value != entry.neutral)
        return file_.unsupported(
            fmt::format("metadata key '{}' is {}, which is not supported for architecture '{}'; supported: {}.",
                        key(entry.key), *value, architecture_, entry.neutral));
    }
    KVISTA_ASSIGN(const auto causal, file_.boolean(key("attention.causal")));
    if (causal && !*causal)
      return file_.unsupported(
          fmt::format("metadata key '{}' is false: it is not a model that continues text.", key("attention.causal")));
    return {};
  }

 private:
  const GgufFile& file_;
  std::string_view architecture_;
};

/// Divisors of the rotary frequencies (tensor rope_freqs.weight, `count` numbers); empty when there are none or all
/// are 1.
Result<std::vector<double>> frequencyFactors(const GgufFile& file, std::int64_t count) {
  const GgufTensor* tensor = file.tensor("rope_freqs.weight");
  if (tensor == nullptr) return std::vector<double>{};
  if (tensor->type != DataType::f32 || tensor->shape != std::vector<std::int64_t>{count})
    return file.corrupt(
        fmt::format("tensor 'rope_freqs.weight' must hold {} numbers of type F32, one a frequency.", count));
  std::vector<float> factors(static_cast<std::size_t>(count));
  KVISTA_CHECK(dequantise(tensor->type, tensor->bytes, factors));
  bool allOne = true;
  for (const float factor : factors) {
    if (!(std::isfinite(factor) && factor > 0))
      return file.corrupt(fmt::format("tensor 'rope_freqs.weight' holds {}; frequency factors are positive.", factor));
    allOne = allOne && factor == 1;
  }
  if (allOne) return std::vector<double>{};
  return std::vector<double>(factors.begin(), factors.end());
}

Result<json> yarnParameters(const GgufFile& file, const ConfigReader& reader, double theta, double factor) {
  KVISTA_ASSIGN(const auto original, reader.integer("rope.scaling.original_context_length"));
  if (!original || *original == 0)
    return file.corrupt(fmt::format("metadata key '{}' is missing, which yarn scaling needs.",
                                    reader.key("rope.scaling.original_context_length")));
  json rope = {{"rope_type", "yarn"},
               {"rope_theta", theta},
               {"factor", factor},
               {"original_max_position_embeddings", *original}};
  KVISTA_ASSIGN(const auto betaFast, reader.real("rope.scaling.yarn_beta_fast"));
  KVISTA_ASSIGN(const auto betaSlow, reader.real("rope.scaling.yarn_beta_slow"));
  KVISTA_ASSIGN(auto attention, reader.real("rope.scaling.attn_factor"));
  if (!attention) {
    KVISTA_ASSIGN(attention, reader.real("rope.scaling.yarn_attn_factor"));
  }
  if (betaFast) rope["beta_fast"] = *betaFast;
  if (betaSlow) rope["beta_slow"] = *betaSlow;
  // GGUF's factor multiplies yarn's own magnitude; Hugging Face's replaces it.
  if (attention && *attention != 1)
    rope["attention_factor"] = *attention * (factor > 1 ? 0.1 * std::log(factor) + 1 : 1);
  return rope;
}

Result<json> ropeParameters(const GgufFile& file, const ConfigReader& reader, std::int64_t headDim) {
  KVISTA_ASSIGN(const auto rotated, reader.integer("rope.dimension_count"));
  if (rotated && *rotated != headDim)
    return file.unsupported(
        fmt::format("metadata key '{}' is {}, but a head has {} dimensions; heads that are rotated in "
                    "part are not supported for these architectures.",
                    reader.key("rope.dimension_count"), *rotated, headDim));
  if (headDim % 2 != 0) return file.corrupt(fmt::format("a head has {} dimensions, an odd number.", headDim));
  KVISTA_ASSIGN(const auto base, reader.real("rope.freq_base"));
  const double theta = base.value_or(10000.0);
  KVISTA_ASSIGN(auto factor, reader.real("rope.scaling.factor"));
  if (!factor) {
    KVISTA_ASSIGN(factor, reader.real("rope.scale_linear"));  // the key's name in older files
  }
  KVISTA_ASSIGN(const auto named, file.text(reader.key("rope.scaling.type")));
  // A factor without a type is a linear one.
  const std::string_view type = named.value_or(factor ? "linear" : "none");
  if (type != "none" && type != "linear" && type != "yarn")
    return file.unsupported(
        fmt::format("metadata key '{}' is '{}', which is not supported; supported: none, linear, yarn.",
                    reader.key("rope.scaling.type"), printable(type)));
  // A factor of 0 is how files say that there is none.
  const bool isScaled = type != "none" && factor && *factor != 0 && *factor != 1;
  if (isScaled && *factor < 0)
    return file.corrupt(
        fmt::format("metadata key '{}' is {}, but must be positive.", reader.key("rope.scaling.factor"), *factor));

  KVISTA_ASSIGN(auto factors, frequencyFactors(file, headDim / 2));
  if (!factors.empty()) {
    if (isScaled && type == "yarn")
      return file.unsupported("it has both yarn scaling and frequency factors, which is not supported.");
    if (isScaled)
      for (double& divisor : factors) divisor *= *factor;
    return json{{"rope_type", "factors"}, {"rope_theta", theta}, {"factors", std::move(factors)}};
  }
  if (!isScaled) return json{{"rope_type", "default"}, {"rope_theta", theta}};
  if (type == "linear") return json{{"rope_type", "linear"}, {"rope_theta", theta}, {"factor", *factor}};
  return yarnParameters(file, reader, theta, *factor);
}

/// Which of q, k, v, o and the MLP carry biases, judged by layer 0, and what model_type that makes.
Result<void> describeBiases(const GgufFile& file, std::string_view architecture, json& config) {
  const auto has = [&](std::string_view name) { return file.tensor(fmt::format("blk.0.{}.bias", name)) != nullptr; };
  const bool q = has("attn_q"), k = has("attn_k"), v = has("attn_v"), o = has("attn_output");
  const bool gate = has("ffn_gate"), up = has("ffn_up"), down = has("ffn_down");
  if (q != k || k != v || gate != up || up != down || (o && !q))
    return file.unsupported(
        "some but not all of the attention or MLP projections of layer 0 have a bias, which is not supported.");
  if (architecture == "qwen2") {
    if (!q || o || gate)
      return file.unsupported("a qwen2 model has biases on its q, k and v projections and on no others.");
    return {};
  }
  config["attention_bias"] = q;
  if (architecture == "qwen3") {
    if (q != o || gate)
      return file.unsupported("a qwen3 model has biases on all its attention projections or on none.");
    return {};
  }
  config["mlp_bias"] = gate;
  if (q && !o)
    return file.unsupported(
        "the q, k and v projections have biases and the output projection has none, which is not supported for "
        "architecture 'llama'.");
  return {};
}

}  // namespace

Result<std::string_view> ggufArchitecture(const GgufFile& file) {
  KVISTA_ASSIGN(const auto architecture, file.text("general.architecture"));
  if (!architecture) return file.corrupt("metadata key 'general.architecture' is missing.");
  KVISTA_ASSIGN(const auto parts, file.integer("split.count"));
  if (parts && *parts > 1)
    return file.unsupported(fmt::format("it is one of {} parts of a split GGUF file.", *parts),
                            "Join the parts with llama-gguf-split --merge.");
  KVISTA_ASSIGN(const auto kind, file.text("general.type"));
  if (kind && *kind != "model")
    return file.unsupported(
        fmt::format("metadata key 'general.type' is '{}'; only 'model' is supported.", printable(*kind)));
  for (const std::string_view known : kArchitectures)
    if (known == *architecture) return known;
  return file.unsupported(fmt::format("architecture '{}' is not supported in GGUF files; supported: {}.",
                                      printable(*architecture), fmt::join(kArchitectures, ", ")));
}

Result<json> ggufConfig(const GgufFile& file) {
  KVISTA_ASSIGN(const auto architecture, ggufArchitecture(file));
  const ConfigReader reader(file, architecture);
  KVISTA_CHECK(reader.refuseUnsupported());
  KVISTA_ASSIGN(const auto layers, reader.required("block_count"));
  KVISTA_ASSIGN(const auto hidden, reader.required("embedding_length"));
  KVISTA_ASSIGN(const auto intermediate, reader.required("feed_forward_length"));
  KVISTA_ASSIGN(const auto positions, reader.required("context_length"));
  KVISTA_ASSIGN(const auto heads, reader.required("attention.head_count"));
  KVISTA_ASSIGN(const auto kvHeads, reader.integer("attention.head_count_kv"));
  KVISTA_ASSIGN(const auto keyLength, reader.integer("attention.key_length"));
  KVISTA_ASSIGN(const auto valueLength, reader.integer("attention.value_length"));
  KVISTA_ASSIGN(const auto epsilon, reader.real("attention.layer_norm_rms_epsilon"));
  KVISTA_ASSIGN(const auto window, reader.integer("attention.sliding_window"));
  KVISTA_ASSIGN(const auto scale, reader.real("attention.scale"));
  KVISTA_ASSIGN(auto vocabulary, reader.integer("vocab_size"));
  if (!epsilon)
    return file.corrupt(fmt::format("metadata key '{}' is missing.", reader.key("attention.layer_norm_rms_epsilon")));
  const std::int64_t headDim = keyLength.value_or(hidden / heads);
  if (headDim <= 0 || (!keyLength && hidden % heads != 0))
    return file.corrupt(fmt::format("an embedding of {} cannot be divided among {} heads.", hidden, heads));
  if (valueLength && *valueLength != headDim)
    return file.unsupported(
        fmt::format("keys have {} dimensions a head and values {}; they must be equal.", headDim, *valueLength));
  if (scale && *scale != 0 && std::abs(*scale * std::sqrt(static_cast<double>(headDim)) - 1) > 1e-6)
    return file.unsupported(fmt::format("metadata key '{}' is {}, which is not supported; supported: 1 / sqrt({}).",
                                        reader.key("attention.scale"), *scale, headDim));
  const GgufTensor* embedding = file.tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    return file.corrupt("tensor 'token_embd.weight' with two dimensions is missing.");
  if (!vocabulary) vocabulary = embedding->shape[0];

  // llama.cpp's llama is also Mistral; what tells them apart in what they compute is the window.
  const bool isMistral = architecture == "llama" && window && *window != 0;
  json config = {
      {"model_type", isMistral ? "mistral" : architecture},
      {"architectures", json::array({isMistral                 ? "MistralForCausalLM"
                                     : architecture == "llama" ? "LlamaForCausalLM"
                                     : architecture == "qwen2" ? "Qwen2ForCausalLM"
                                                               : "Qwen3ForCausalLM"})},
      {"num_hidden_layers", layers},
      {"hidden_size", hidden},
      {"intermediate_size", intermediate},
      {"max_position_embeddings", positions},
      {"num_attention_heads", heads},
      {"num_key_value_heads", kvHeads && *kvHeads != 0 ? *kvHeads : heads},
      {"head_dim", headDim},
      {"rms_norm_eps", *epsilon},
      {"vocab_size", *vocabulary},
      {"hidden_act", "silu"},
      {"tie_word_embeddings", file.tensor("output.weight") == nullptr},
      // Quantised weights have no 16-bit form that keeps their values, so they are float32 models to whoever writes
      // them.
      {"torch_dtype", embedding->type == DataType::bf16  ? "bfloat16"
                      : embedding->type == DataType::f16 ? "float16"
                                                         : "float32"},
  };
  KVISTA_ASSIGN(auto rope, ropeParameters(file, reader, headDim));
  config["rope_theta"] = rope["rope_theta"];
  config["rope_parameters"] = std::move(rope);
  KVISTA_CHECK(describeBiases(file, architecture, config));
  if (isMistral) {
    if (config["attention_bias"] == true || config["mlp_bias"] == true)
      return file.unsupported(
          "it has both a sliding window and biases, which is not supported for architecture 'llama'.");
    config["sliding_window"] = *window;
  }
  if (architecture != "llama") {
    const bool slides = window && *window != 0;
    config["use_sliding_window"] = slides;
    config["sliding_window"] = slides ? json(*window) : json();
    config["max_window_layers"] = slides ? 0 : layers;
  }
  for (const auto& [name, key] : {std::pair{"bos_token_id", "tokenizer.ggml.bos_token_id"},
                                  std::pair{"eos_token_id", "tokenizer.ggml.eos_token_id"},
                                  std::pair{"pad_token_id", "tokenizer.ggml.padding_token_id"}}) {
    KVISTA_ASSIGN(const auto id, file.integer(key));
    if (id) config[name] = *id;
  }
  return config;
}

}  // namespace kvista
