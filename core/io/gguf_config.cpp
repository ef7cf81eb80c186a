// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "core/io/gguf_architectures.h"
#include "core/io/gguf_convert.h"

namespace kvista {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaximumLayers = 1 << 16;

/// Keys that change what a model computes, and the value with which they change nothing; an architecture reads some of
/// them.
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

bool reads(const GgufArchitecture& architecture, std::string_view key) {
  return std::ranges::find(architecture.keys, key) != architecture.keys.end();
}

Result<void> refuseUnsupported(const GgufKeys& keys, const GgufArchitecture& architecture) {
  for (const NeutralKey& entry : kNeutralKeys) {
    if (reads(architecture, entry.key)) continue;
    KVISTA_ASSIGN(const auto value, keys.real(entry.key));
    if (value && *value != entry.neutral)
      return keys.file().unsupported(
          fmt::format("metadata key '{}' is {}, which is not supported for architecture '{}'; supported: {}.",
                      keys.key(entry.key), *value, architecture.name, entry.neutral));
  }
  KVISTA_ASSIGN(const auto causal, keys.boolean("attention.causal"));
  if (causal && !*causal)
    return keys.file().unsupported(fmt::format("metadata key '{}' is false: it is not a model that continues text.",
                                               keys.key("attention.causal")));
  return {};
}

Result<GgufSizes> readSizes(const GgufKeys& keys, const GgufArchitecture& architecture) {
  const GgufFile& file = keys.file();
  GgufSizes sizes;
  KVISTA_ASSIGN(sizes.layers, keys.required("block_count"));
  if (sizes.layers > kMaximumLayers)
    return file.corrupt(fmt::format("metadata key '{}' is {}; at most {} are supported.", keys.key("block_count"),
                                    sizes.layers, kMaximumLayers));
  KVISTA_ASSIGN(sizes.hidden, keys.required("embedding_length"));
  KVISTA_ASSIGN(sizes.heads, keys.required("attention.head_count"));
  KVISTA_ASSIGN(const auto kvHeads, keys.integer("attention.head_count_kv"));
  sizes.kvHeads = kvHeads && *kvHeads != 0 ? *kvHeads : sizes.heads;
  if (architecture.rope == GgufRope::separate) {  // what is cached for all heads is the part that rotates
    KVISTA_ASSIGN(sizes.headDim, keys.required("rope.dimension_count"));
    return sizes;
  }
  KVISTA_ASSIGN(const auto keyLength, keys.integer("attention.key_length"));
  KVISTA_ASSIGN(const auto valueLength, keys.integer("attention.value_length"));
  sizes.headDim = keyLength.value_or(sizes.hidden / sizes.heads);
  if (sizes.headDim <= 0 || (!keyLength && sizes.hidden % sizes.heads != 0))
    return file.corrupt(fmt::format("an embedding of {} cannot be divided among {} heads.", sizes.hidden, sizes.heads));
  if (valueLength && *valueLength != sizes.headDim)
    return file.unsupported(
        fmt::format("keys have {} dimensions a head and values {}; they must be equal.", sizes.headDim, *valueLength));
  KVISTA_ASSIGN(const auto scale, keys.real("attention.scale"));
  if (scale && *scale != 0 && !reads(architecture, "attention.scale") &&
      std::abs(*scale * std::sqrt(static_cast<double>(sizes.headDim)) - 1) > 1e-6)
    return file.unsupported(fmt::format("metadata key '{}' is {}, which is not supported; supported: 1 / sqrt({}).",
                                        keys.key("attention.scale"), *scale, sizes.headDim));
  return sizes;
}

/// The part of `whole` that `part` is, as a fraction of which whoever truncates the product gets `part` back.
double fractionOf(std::int64_t part, std::int64_t whole) {
  const double fraction = static_cast<double>(part) / static_cast<double>(whole);
  const bool isShort = static_cast<std::int64_t>(static_cast<double>(whole) * fraction) < part;
  return isShort ? std::nextafter(fraction, 2.0) : fraction;
}

Result<void> addRope(const GgufKeys& keys, const GgufArchitecture& architecture, const GgufSizes& sizes, json& config) {
  if (architecture.rope == GgufRope::none) return {};
  KVISTA_ASSIGN(const auto given, keys.integer("rope.dimension_count"));
  const std::int64_t rotated = given.value_or(sizes.headDim);
  if (architecture.rope == GgufRope::whole && rotated != sizes.headDim)
    return keys.file().unsupported(
        fmt::format("metadata key '{}' is {}, but a head has {} dimensions; heads that are rotated in "
                    "part are not supported for these architectures.",
                    keys.key("rope.dimension_count"), rotated, sizes.headDim));
  if (rotated < 1 || rotated > sizes.headDim)
    return keys.file().corrupt(fmt::format("metadata key '{}' is {}; a head has {} dimensions.",
                                           keys.key("rope.dimension_count"), rotated, sizes.headDim));
  if (rotated % 2 != 0)
    return keys.file().corrupt(rotated == sizes.headDim
                                   ? fmt::format("a head has {} dimensions, an odd number.", rotated)
                                   : fmt::format("{} dimensions of a head rotate, an odd number.", rotated));
  KVISTA_ASSIGN(json rope, ggufRope(keys, rotated));
  if (architecture.rope == GgufRope::partial) rope["partial_rotary_factor"] = fractionOf(rotated, sizes.headDim);
  config["rope_theta"] = rope["rope_theta"];
  config["rope_parameters"] = std::move(rope);
  return {};
}

}  // namespace

Result<const GgufArchitecture*> ggufArchitecture(const GgufFile& file) {
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
  std::vector<std::string_view> names;
  for (const GgufArchitecture& known : ggufArchitectures()) {
    const bool isMeant = known.marker.empty() || GgufKeys(file, known.name).hasLayerTensor(known.marker);
    if (known.name == *architecture && isMeant) return &known;
    if (known.marker.empty()) names.push_back(known.name);
  }
  return file.unsupported(fmt::format("architecture '{}' is not supported in GGUF files; supported: {}.",
                                      printable(*architecture), fmt::join(names, ", ")));
}

Result<json> ggufConfig(const GgufFile& file) {
  KVISTA_ASSIGN(const GgufArchitecture* const architecture, ggufArchitecture(file));
  const GgufKeys keys(file, architecture->name);
  KVISTA_CHECK(refuseUnsupported(keys, *architecture));
  KVISTA_ASSIGN(const auto positions, keys.required("context_length"));
  KVISTA_ASSIGN(const auto intermediate, keys.required("feed_forward_length"));
  KVISTA_ASSIGN(const GgufSizes sizes, readSizes(keys, *architecture));
  KVISTA_ASSIGN(const double epsilon,
                keys.requiredReal(architecture->hasLayerNorm ? "attention.layer_norm_epsilon"
                                                             : "attention.layer_norm_rms_epsilon"));
  KVISTA_ASSIGN(auto vocabulary, keys.integer("vocab_size"));
  const GgufTensor* embedding = file.tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    return file.corrupt("tensor 'token_embd.weight' with two dimensions is missing.");
  if (!vocabulary) vocabulary = embedding->shape[0];

  json config = {
      {"model_type", architecture->modelType},
      {"architectures", json::array({architecture->className})},
      {"num_hidden_layers", sizes.layers},
      {"hidden_size", sizes.hidden},
      {architecture->intermediateKey, intermediate},
      {"max_position_embeddings", positions},
      {"num_attention_heads", sizes.heads},
      {"num_key_value_heads", sizes.kvHeads},
      {"head_dim", sizes.headDim},
      {architecture->epsilonKey, epsilon},
      {"vocab_size", *vocabulary},
      {"tie_word_embeddings", file.tensor("output.weight") == nullptr},
      // Quantised weights have no 16-bit form that keeps their values, so they are float32 models to whoever writes
      // them.
      {"torch_dtype", embedding->type == DataType::bf16  ? "bfloat16"
                      : embedding->type == DataType::f16 ? "float16"
                                                         : "float32"},
  };
  KVISTA_CHECK(addRope(keys, *architecture, sizes, config));
  if (architecture->describe != nullptr) KVISTA_CHECK(architecture->describe(keys, sizes, config));
  for (const auto& [name, key] : {std::pair{"bos_token_id", "tokenizer.ggml.bos_token_id"},
                                  std::pair{"eos_token_id", "tokenizer.ggml.eos_token_id"},
                                  std::pair{"pad_token_id", "tokenizer.ggml.padding_token_id"}}) {
    KVISTA_ASSIGN(const auto id, file.integer(key));
    if (id) config[name] = *id;
  }
  return config;
}

}  // namespace kvista
