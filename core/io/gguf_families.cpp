// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What each architecture's metadata says beyond what all have, in the keys of its config.json.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "core/io/gguf_architectures.h"

namespace kvista::gguf {
namespace {

using nlohmann::json;

/// Which of q, k, v, o and the MLP carry biases, judged by layer 0.
struct Biases {
  bool query = false, output = false, mlp = false;
};

Result<Biases> readBiases(const GgufKeys& keys) {
  const auto has = [&](std::string_view name) { return keys.hasLayerTensor(fmt::format("{}.bias", name)); };
  const Biases biases{.query = has("attn_q"), .output = has("attn_output"), .mlp = has("ffn_up")};
  if (biases.query != has("attn_k") || biases.query != has("attn_v") || biases.mlp != has("ffn_gate") ||
      biases.mlp != has("ffn_down") || (biases.output && !biases.query))
    return keys.file().unsupported(
        "some but not all of the attention or MLP projections of layer 0 have a bias, which is not supported.");
  return biases;
}

Result<std::int64_t> readWindow(const GgufKeys& keys, std::int64_t absent) {
  KVISTA_ASSIGN(const auto window, keys.integer("attention.sliding_window"));
  return window.value_or(absent);
}

json orNull(std::int64_t window) { return window == 0 ? json() : json(window); }

/// Qwen's switch for windows, which are then those of all layers.
Result<void> addSwitchedWindow(const GgufKeys& keys, const GgufSizes& sizes, json& config) {
  KVISTA_ASSIGN(const std::int64_t window, readWindow(keys, 0));
  config["use_sliding_window"] = window != 0;
  config["sliding_window"] = orNull(window);
  config["max_window_layers"] = window != 0 ? 0 : sizes.layers;
  return {};
}

Result<void> addExperts(const GgufKeys& keys, const char* expertsKey, json& config) {
  KVISTA_ASSIGN(config[expertsKey], keys.required("expert_count"));
  KVISTA_ASSIGN(config["num_experts_per_tok"], keys.required("expert_used_count"));
  return {};
}

/// A number that changes nothing where it is absent or 0.
Result<void> addIfGiven(const GgufKeys& keys, std::string_view name, const char* key, json& config) {
  KVISTA_ASSIGN(const auto value, keys.real(name));
  if (value && *value != 0) config[key] = *value;
  return {};
}

/// Of a rope that rotates a part of each head the part, under the name that the family had for it before transformers 5
/// too.
void addFraction(const char* oldKey, json& config) {
  config[oldKey] = config["rope_parameters"]["partial_rotary_factor"];
}

/// What multiplies yarn's temperature: 0.1 mscale_all_dim.
Result<void> addYarnMultiplier(const GgufKeys& keys, json& config) {
  KVISTA_ASSIGN(const auto multiplier, keys.real("rope.scaling.yarn_log_multiplier"));
  if (!multiplier || *multiplier == 0) return {};
  json& rope = config["rope_parameters"];
  rope["mscale"] = rope["mscale_all_dim"] = std::round(*multiplier * 1e8) / 1e7;
  rope.erase("attention_factor");
  return {};
}

/// Scores of the largest Gemmas are scaled by the width that heads would have if they shared the residual stream.
void addGemmaScale(const GgufSizes& sizes, std::int64_t layersOfLargest, json& config) {
  config["query_pre_attn_scalar"] = sizes.layers == layersOfLargest ? sizes.hidden / sizes.heads : sizes.headDim;
  config["hidden_activation"] = "gelu_pytorch_tanh";
}

}  // namespace

Result<void> llama(const GgufKeys& keys, const GgufSizes&, json& config) {
  KVISTA_ASSIGN(const Biases biases, readBiases(keys));
  KVISTA_ASSIGN(const std::int64_t window, readWindow(keys, 0));
  if (window == 0) {
    if (biases.query && !biases.output)
      return keys.file().unsupported(
          "the q, k and v projections have biases and the output projection has none, which is not supported for "
          "architecture 'llama'.");
    config["attention_bias"] = biases.query;
    config["mlp_bias"] = biases.mlp;
    return {};
  }
  // llama.cpp's llama is also Mistral; what tells them apart in what they compute is the window.
  if (biases.query || biases.mlp)
    return keys.file().unsupported(
        "it has both a sliding window and biases, which is not supported for architecture 'llama'.");
  config["model_type"] = "mistral";
  config["architectures"] = {"MistralForCausalLM"};
  config["sliding_window"] = window;
  return {};
}

Result<void> mixtral(const GgufKeys& keys, const GgufSizes&, json& config) {
  KVISTA_ASSIGN(const std::int64_t window, readWindow(keys, 0));
  config["sliding_window"] = orNull(window);
  return addExperts(keys, "num_local_experts", config);
}

Result<void> qwen2(const GgufKeys& keys, const GgufSizes& sizes, json& config) {
  KVISTA_ASSIGN(const Biases biases, readBiases(keys));
  if (!biases.query || biases.output || biases.mlp)
    return keys.file().unsupported("a qwen2 model has biases on its q, k and v projections and on no others.");
  return addSwitchedWindow(keys, sizes, config);
}

Result<void> qwen3(const GgufKeys& keys, const GgufSizes& sizes, json& config) {
  KVISTA_ASSIGN(const Biases biases, readBiases(keys));
  if (biases.query != biases.output || biases.mlp)
    return keys.file().unsupported("a qwen3 model has biases on all its attention projections or on none.");
  config["attention_bias"] = biases.query;
  return addSwitchedWindow(keys, sizes, config);
}

Result<void> qwen3Experts(const GgufKeys& keys, const GgufSizes&, json& config) {
  config["attention_bias"] = keys.hasLayerTensor("attn_q.bias");
  config["norm_topk_prob"] = true;
  KVISTA_ASSIGN(config["moe_intermediate_size"], keys.required("expert_feed_forward_length"));
  return addExperts(keys, "num_experts", config);
}

Result<void> granite(const GgufKeys& keys, const GgufSizes& sizes, json& config) {
  KVISTA_ASSIGN(const Biases biases, readBiases(keys));
  config["attention_bias"] = biases.query;
  config["mlp_bias"] = biases.mlp;
  config["attention_multiplier"] = 1 / std::sqrt(static_cast<double>(sizes.headDim));
  KVISTA_CHECK(addIfGiven(keys, "attention.scale", "attention_multiplier", config));
  KVISTA_CHECK(addIfGiven(keys, "embedding_scale", "embedding_multiplier", config));
  KVISTA_CHECK(addIfGiven(keys, "residual_scale", "residual_multiplier", config));
  return addIfGiven(keys, "logit_scale", "logits_scaling", config);
}

Result<void> gemma(const GgufKeys&, const GgufSizes&, json& config) {
  config["hidden_act"] = config["hidden_activation"] = "gelu_pytorch_tanh";
  return {};
}

Result<void> gemma2(const GgufKeys& keys, const GgufSizes& sizes, json& config) {
  KVISTA_ASSIGN(const std::int64_t window, readWindow(keys, 4096));
  config["sliding_window"] = orNull(window);
  config["attn_logit_softcapping"] = nullptr;
  config["final_logit_softcapping"] = nullptr;
  addGemmaScale(sizes, 46, config);
  KVISTA_CHECK(addIfGiven(keys, "attn_logit_softcapping", "attn_logit_softcapping", config));
  return addIfGiven(keys, "final_logit_softcapping", "final_logit_softcapping", config);
}

Result<void> gemma3(const GgufKeys& keys, const GgufSizes& sizes, json& config) {
  KVISTA_ASSIGN(config["sliding_window"], keys.required("attention.sliding_window"));
  KVISTA_ASSIGN(const auto localBase, keys.real("rope.freq_base_swa"));
  config["rope_local_base_freq"] = localBase.value_or(10000);
  config["sliding_window_pattern"] = 6;
  json layerTypes = json::array();
  for (std::int64_t layer = 0; layer < sizes.layers; ++layer)
    layerTypes.push_back((layer + 1) % 6 == 0 ? "full_attention" : "sliding_attention");
  config["layer_types"] = std::move(layerTypes);
  config["rope_parameters"] = {
      {"full_attention", config["rope_parameters"]},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", config["rope_local_base_freq"]}}}};
  addGemmaScale(sizes, 62, config);
  return addIfGiven(keys, "final_logit_softcapping", "final_logit_softcapping", config);
}

Result<void> phi2(const GgufKeys&, const GgufSizes&, json& config) {
  addFraction("partial_rotary_factor", config);
  return {};
}

Result<void> phi3(const GgufKeys& keys, const GgufSizes&, json& config) {
  KVISTA_ASSIGN(const std::int64_t window, readWindow(keys, 0));
  config["sliding_window"] = orNull(window);
  KVISTA_ASSIGN(const auto original, keys.integer("rope.scaling.original_context_length"));
  if (original && *original != 0) config["original_max_position_embeddings"] = *original;
  addFraction("partial_rotary_factor", config);
  return {};
}

Result<void> starcoder2(const GgufKeys& keys, const GgufSizes&, json& config) {
  config["use_bias"] = keys.hasLayerTensor("attn_q.bias");
  config["hidden_act"] = "gelu_pytorch_tanh";
  KVISTA_ASSIGN(const std::int64_t window, readWindow(keys, 0));
  config["sliding_window"] = orNull(window);
  return {};
}

Result<void> starcoder(const GgufKeys& keys, const GgufSizes& sizes, json& config) {
  if (sizes.kvHeads != 1)
    return keys.file().unsupported(fmt::format("metadata key '{}' is {}; a starcoder model has 1.",
                                               keys.key("attention.head_count_kv"), sizes.kvHeads));
  config["multi_query"] = true;
  return {};
}

Result<void> gptneox(const GgufKeys& keys, const GgufSizes&, json& config) {
  KVISTA_ASSIGN(const auto isParallel, keys.boolean("use_parallel_residual"));
  config["use_parallel_residual"] = isParallel.value_or(true);
  config["attention_bias"] = keys.hasLayerTensor("attn_qkv.bias");
  config["rotary_emb_base"] = config["rope_theta"];
  addFraction("rotary_pct", config);
  return {};
}

Result<void> falcon(const GgufKeys& keys, const GgufSizes& sizes, json& config) {
  const bool hasTwoNorms = keys.hasLayerTensor("attn_norm_2.weight");
  const bool isGrouped = hasTwoNorms || sizes.kvHeads > 1;
  config["new_decoder_architecture"] = isGrouped;
  config["multi_query"] = true;
  config["parallel_attn"] = true;
  config["alibi"] = false;
  config["bias"] = keys.hasLayerTensor("attn_qkv.bias");
  config["num_kv_heads"] = sizes.kvHeads;
  if (isGrouped) config["num_ln_in_parallel_attn"] = hasTwoNorms ? 2 : 1;
  return {};
}

Result<void> stablelm(const GgufKeys& keys, const GgufSizes&, json& config) {
  config["use_parallel_residual"] = !keys.hasLayerTensor("ffn_norm.weight");
  config["use_qkv_bias"] = keys.hasLayerTensor("attn_q.bias");
  config["qk_layernorm"] = keys.hasLayerTensor("attn_q_norm.weight");
  addFraction("partial_rotary_factor", config);
  return {};
}

Result<void> olmo(const GgufKeys& keys, const GgufSizes&, json& config) {
  if (config["layer_norm_eps"] != 1e-5)
    return keys.file().unsupported(fmt::format("metadata key '{}' is {}; OLMo's norms have 1e-05.",
                                               keys.key("attention.layer_norm_epsilon"),
                                               config["layer_norm_eps"].dump()));
  config["clip_qkv"] = nullptr;
  return addIfGiven(keys, "attention.clamp_kqv", "clip_qkv", config);
}

Result<void> commandR(const GgufKeys& keys, const GgufSizes&, json& config) {
  config["attention_bias"] = keys.hasLayerTensor("attn_q.bias");
  config["use_qk_norm"] = keys.hasLayerTensor("attn_q_norm.weight");
  KVISTA_ASSIGN(config["logit_scale"], keys.requiredReal("logit_scale"));
  return {};
}

Result<void> glm(const GgufKeys& keys, const GgufSizes&, json& config) {
  config["attention_bias"] = keys.hasLayerTensor("attn_q.bias") || keys.hasLayerTensor("attn_qkv.bias");
  addFraction("partial_rotary_factor", config);
  return {};
}

Result<void> deepseek2(const GgufKeys& keys, const GgufSizes& sizes, json& config) {
  const GgufFile& file = keys.file();
  KVISTA_ASSIGN(const auto gating, keys.integer("expert_gating_func"));
  KVISTA_ASSIGN(const auto normalises, keys.boolean("expert_weights_norm"));
  if (gating.value_or(1) != 1 || normalises.value_or(false))
    return file.unsupported(
        "its experts are not chosen as DeepSeek-V2's are: softmax over all, weights not divided by their sum.");
  // Later files describe the latent as the only key and value head, and the heads behind it apart.
  KVISTA_ASSIGN(const auto keyLength, keys.integer("attention.key_length_mla"));
  KVISTA_ASSIGN(const auto valueLength, keys.integer("attention.value_length_mla"));
  KVISTA_ASSIGN(const std::int64_t width,
                keyLength ? Result<std::int64_t>(*keyLength) : keys.required("attention.key_length"));
  KVISTA_ASSIGN(config["v_head_dim"],
                valueLength ? Result<std::int64_t>(*valueLength) : keys.required("attention.value_length"));
  if (width <= sizes.headDim)
    return file.corrupt(fmt::format("a head's key has {} dimensions, of which {} rotate.", width, sizes.headDim));
  config["qk_nope_head_dim"] = width - sizes.headDim;
  config["qk_rope_head_dim"] = sizes.headDim;
  config["num_key_value_heads"] = sizes.heads;
  config.erase("head_dim");
  KVISTA_ASSIGN(config["kv_lora_rank"], keys.required("attention.kv_lora_rank"));
  KVISTA_ASSIGN(const auto queryRank, keys.integer("attention.q_lora_rank"));
  config["q_lora_rank"] = orNull(queryRank.value_or(0));

  KVISTA_CHECK(addYarnMultiplier(keys, config));
  KVISTA_ASSIGN(const auto experts, keys.integer("expert_count"));
  if (experts.value_or(0) == 0) {
    config["n_routed_experts"] = nullptr;
    return {};
  }
  KVISTA_CHECK(addExperts(keys, "n_routed_experts", config));
  KVISTA_ASSIGN(config["moe_intermediate_size"], keys.required("expert_feed_forward_length"));
  KVISTA_ASSIGN(const auto shared, keys.integer("expert_shared_count"));
  KVISTA_ASSIGN(const auto dense, keys.integer("leading_dense_block_count"));
  KVISTA_ASSIGN(const auto scale, keys.real("expert_weights_scale"));
  config["n_shared_experts"] = orNull(shared.value_or(0));
  config["first_k_dense_replace"] = dense.value_or(0);
  config["routed_scaling_factor"] = scale && *scale != 0 ? *scale : 1.0;
  KVISTA_ASSIGN(const auto groups, keys.integer("expert_group_count"));
  KVISTA_ASSIGN(const auto chosenGroups, keys.integer("expert_group_used_count"));
  config["topk_method"] = groups.value_or(1) > 1 ? "group_limited_greedy" : "greedy";
  config["n_group"] = groups.value_or(1);
  config["topk_group"] = chosenGroups.value_or(1);
  config["scoring_func"] = "softmax";
  config["norm_topk_prob"] = false;
  return {};
}

}  // namespace kvista::gguf
