// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/gguf_architectures.h"

namespace kvista {
namespace {

using enum GgufChange;

constexpr bool kNoBias = false;

constexpr GgufName kLlamaModel[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
};
constexpr GgufName kPhi2Model[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.final_layernorm"},
    {"output", "lm_head"},
};
constexpr GgufName kNeoxModel[] = {
    {"token_embd", "gpt_neox.embed_in"},
    {"output_norm", "gpt_neox.final_layer_norm"},
    {"output", "embed_out"},
};
constexpr GgufName kGpt2Model[] = {
    {"token_embd", "transformer.wte"},
    {"position_embd", "transformer.wpe"},
    {"output_norm", "transformer.ln_f"},
    {"output", "lm_head"},
};
constexpr GgufName kBloomModel[] = {
    {"token_embd", "transformer.word_embeddings"},
    {"token_embd_norm", "transformer.word_embeddings_layernorm"},
    {"output_norm", "transformer.ln_f"},
    {"output", "lm_head"},
};

constexpr GgufName kAttention[] = {
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
};
constexpr GgufName kInterleavedAttention[] = {
    {"attn_q", "self_attn.q_proj", queryHalves},
    {"attn_k", "self_attn.k_proj", keyHalves},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
};
constexpr GgufName kLlamaRest[] = {
    {"attn_norm", "input_layernorm", none, kNoBias},
    {"ffn_norm", "post_attention_layernorm", none, kNoBias},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr GgufName kHeadNorms[] = {
    {"attn_q_norm", "self_attn.q_norm", none, kNoBias},
    {"attn_k_norm", "self_attn.k_norm", none, kNoBias},
};
constexpr GgufName kMixtral[] = {
    {"attn_norm", "input_layernorm", none, kNoBias},
    {"ffn_norm", "post_attention_layernorm", none, kNoBias},
    {"ffn_gate_inp", "block_sparse_moe.gate", none, kNoBias},
    {"ffn_gate_exps", "block_sparse_moe.experts.{}.w1", none, kNoBias},
    {"ffn_up_exps", "block_sparse_moe.experts.{}.w3", none, kNoBias},
    {"ffn_down_exps", "block_sparse_moe.experts.{}.w2", none, kNoBias},
};
constexpr GgufName kQwen3Experts[] = {
    {"attn_norm", "input_layernorm", none, kNoBias},
    {"ffn_norm", "post_attention_layernorm", none, kNoBias},
    {"ffn_gate_inp", "mlp.gate", none, kNoBias},
    {"ffn_gate_exps", "mlp.experts.{}.gate_proj", none, kNoBias},
    {"ffn_up_exps", "mlp.experts.{}.up_proj", none, kNoBias},
    {"ffn_down_exps", "mlp.experts.{}.down_proj", none, kNoBias},
};
constexpr GgufName kGemmaModel[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm", plusOne, kNoBias},
    {"output", "lm_head"},
};
constexpr GgufName kGemmaRest[] = {
    {"attn_norm", "input_layernorm", plusOne, kNoBias},
    {"ffn_norm", "post_attention_layernorm", plusOne, kNoBias},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr GgufName kGemma2Rest[] = {
    {"attn_norm", "input_layernorm", plusOne, kNoBias},
    {"post_attention_norm", "post_attention_layernorm", plusOne, kNoBias},
    {"ffn_norm", "pre_feedforward_layernorm", plusOne, kNoBias},
    {"post_ffw_norm", "post_feedforward_layernorm", plusOne, kNoBias},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr GgufName kGemma3Norms[] = {
    {"attn_q_norm", "self_attn.q_norm", plusOne, kNoBias},
    {"attn_k_norm", "self_attn.k_norm", plusOne, kNoBias},
};
constexpr GgufName kPhi2[] = {
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_qkv", "self_attn.{}_proj", divided},
    {"attn_output", "self_attn.dense"},
    {"ffn_up", "mlp.fc1"},
    {"ffn_down", "mlp.fc2"},
};
constexpr GgufName kPhi3[] = {
    {"attn_norm", "input_layernorm", none, kNoBias},    {"attn_qkv", "self_attn.qkv_proj", none, kNoBias},
    {"attn_output", "self_attn.o_proj", none, kNoBias}, {"ffn_norm", "post_attention_layernorm", none, kNoBias},
    {"ffn_up", "mlp.gate_up_proj", none, kNoBias},      {"ffn_down", "mlp.down_proj", none, kNoBias},
};
constexpr GgufName kStarcoder2Rest[] = {
    {"attn_norm", "input_layernorm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_up", "mlp.c_fc"},
    {"ffn_down", "mlp.c_proj"},
};
constexpr GgufName kGpt2[] = {
    {"attn_norm", "ln_1"}, {"attn_qkv", "attn.c_attn", transposed}, {"attn_output", "attn.c_proj", transposed},
    {"ffn_norm", "ln_2"},  {"ffn_up", "mlp.c_fc", transposed},      {"ffn_down", "mlp.c_proj", transposed},
};
constexpr GgufName kStarcoder[] = {
    {"attn_norm", "ln_1"}, {"attn_qkv", "attn.c_attn"}, {"attn_output", "attn.c_proj"},
    {"ffn_norm", "ln_2"},  {"ffn_up", "mlp.c_fc"},      {"ffn_down", "mlp.c_proj"},
};
constexpr GgufName kNeox[] = {
    {"attn_norm", "input_layernorm"},   {"attn_qkv", "attention.query_key_value", byProjection},
    {"attn_output", "attention.dense"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_up", "mlp.dense_h_to_4h"},    {"ffn_down", "mlp.dense_4h_to_h"},
};
constexpr GgufName kBloom[] = {
    {"attn_norm", "input_layernorm"},        {"attn_qkv", "self_attention.query_key_value", byProjection},
    {"attn_output", "self_attention.dense"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_up", "mlp.dense_h_to_4h"},         {"ffn_down", "mlp.dense_4h_to_h"},
};
// Where there is an attn_norm_2, it is that of attention, and attn_norm that of the MLP.
constexpr GgufName kFalconOneNorm[] = {{"attn_norm", "input_layernorm"}};
constexpr GgufName kFalconTwoNorms[] = {{"attn_norm", "ln_mlp"}, {"attn_norm_2", "ln_attn"}};
constexpr GgufName kFalcon[] = {
    {"attn_qkv", "self_attention.query_key_value", byProjection},
    {"attn_output", "self_attention.dense"},
    {"ffn_up", "mlp.dense_h_to_4h"},
    {"ffn_down", "mlp.dense_4h_to_h"},
};
constexpr GgufName kStablelmRest[] = {
    {"attn_norm", "input_layernorm"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr GgufName kStablelmNorms[] = {
    {"attn_q_norm", "self_attn.q_layernorm.norms.{}", none, kNoBias},
    {"attn_k_norm", "self_attn.k_layernorm.norms.{}", none, kNoBias},
};
constexpr GgufName kOlmo2Rest[] = {
    {"post_attention_norm", "post_attention_layernorm", none, kNoBias},
    {"post_ffw_norm", "post_feedforward_layernorm", none, kNoBias},
    {"ffn_gate", "mlp.gate_proj", none, kNoBias},
    {"ffn_up", "mlp.up_proj", none, kNoBias},
    {"ffn_down", "mlp.down_proj", none, kNoBias},
};
constexpr GgufName kGlmRest[] = {
    {"attn_qkv", "self_attn.{}_proj", divided},
    {"attn_norm", "input_layernorm", none, kNoBias},
    {"ffn_norm", "post_attention_layernorm", none, kNoBias},
    {"ffn_up", "mlp.gate_up_proj", none, kNoBias},
    {"ffn_down", "mlp.down_proj", none, kNoBias},
};
constexpr GgufName kGlm4Norms[] = {
    {"post_attention_norm", "post_self_attn_layernorm", none, kNoBias},
    {"post_ffw_norm", "post_mlp_layernorm", none, kNoBias},
};
constexpr GgufName kDeepseekAttention[] = {
    {"attn_q", "self_attn.q_proj"},
    {"attn_q_a", "self_attn.q_a_proj"},
    {"attn_q_a_norm", "self_attn.q_a_layernorm", none, kNoBias},
    {"attn_q_b", "self_attn.q_b_proj"},
    {"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"},
    {"attn_kv_a_norm", "self_attn.kv_a_layernorm", none, kNoBias},
    {"attn_kv_b", "self_attn.kv_b_proj"},
    {"attn_k_b", "self_attn.kv_b_proj", apart, kNoBias},
    {"attn_output", "self_attn.o_proj"},
};
constexpr GgufName kDeepseekExperts[] = {
    {"ffn_gate_inp", "mlp.gate", none, kNoBias},
    {"ffn_gate_exps", "mlp.experts.{}.gate_proj", none, kNoBias},
    {"ffn_up_exps", "mlp.experts.{}.up_proj", none, kNoBias},
    {"ffn_down_exps", "mlp.experts.{}.down_proj", none, kNoBias},
    {"ffn_gate_shexp", "mlp.shared_experts.gate_proj", none, kNoBias},
    {"ffn_up_shexp", "mlp.shared_experts.up_proj", none, kNoBias},
    {"ffn_down_shexp", "mlp.shared_experts.down_proj", none, kNoBias},
};

constexpr GgufArchitecture kArchitectures[] = {
    {.name = "llama",
     .modelType = "mixtral",
     .className = "MixtralForCausalLM",
     .marker = "ffn_gate_exps.weight",
     .modelNames = kLlamaModel,
     .layerNames = {kInterleavedAttention, kMixtral},
     .keys = {"expert_count", "expert_used_count"},
     .describe = gguf::mixtral},
    {.name = "llama",
     .modelType = "llama",
     .className = "LlamaForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kInterleavedAttention, kLlamaRest},
     .describe = gguf::llama},
    {.name = "qwen2",
     .modelType = "qwen2",
     .className = "Qwen2ForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kAttention, kLlamaRest},
     .describe = gguf::qwen2},
    {.name = "qwen3",
     .modelType = "qwen3",
     .className = "Qwen3ForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kAttention, kLlamaRest, kHeadNorms},
     .describe = gguf::qwen3},
    {.name = "qwen3moe",
     .modelType = "qwen3_moe",
     .className = "Qwen3MoeForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kAttention, kHeadNorms, kQwen3Experts},
     .keys = {"expert_count", "expert_used_count"},
     .describe = gguf::qwen3Experts},
    {.name = "granite",
     .modelType = "granite",
     .className = "GraniteForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kInterleavedAttention, kLlamaRest},
     .keys = {"attention.scale", "embedding_scale", "residual_scale", "logit_scale"},
     .describe = gguf::granite},
    {.name = "smollm3",
     .modelType = "smollm3",
     .className = "SmolLM3ForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kInterleavedAttention, kLlamaRest}},
    {.name = "gemma",
     .modelType = "gemma",
     .className = "GemmaForCausalLM",
     .modelNames = kGemmaModel,
     .layerNames = {kAttention, kGemmaRest},
     .describe = gguf::gemma},
    {.name = "gemma2",
     .modelType = "gemma2",
     .className = "Gemma2ForCausalLM",
     .modelNames = kGemmaModel,
     .layerNames = {kAttention, kGemma2Rest},
     .keys = {"attn_logit_softcapping", "final_logit_softcapping"},
     .describe = gguf::gemma2},
    {.name = "gemma3",
     .modelType = "gemma3_text",
     .className = "Gemma3ForCausalLM",
     .modelNames = kGemmaModel,
     .layerNames = {kAttention, kGemma2Rest, kGemma3Norms},
     .keys = {"final_logit_softcapping"},
     .describe = gguf::gemma3},
    {.name = "phi2",
     .modelType = "phi",
     .className = "PhiForCausalLM",
     .modelNames = kPhi2Model,
     .layerNames = {kPhi2},
     .hasLayerNorm = true,
     .epsilonKey = "layer_norm_eps",
     .rope = GgufRope::partial,
     .describe = gguf::phi2},
    {.name = "phi3",
     .modelType = "phi3",
     .className = "Phi3ForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kPhi3},
     .rope = GgufRope::partial,
     .describe = gguf::phi3},
    {.name = "starcoder2",
     .modelType = "starcoder2",
     .className = "Starcoder2ForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kAttention, kStarcoder2Rest},
     .hasLayerNorm = true,
     .epsilonKey = "norm_epsilon",
     .describe = gguf::starcoder2},
    {.name = "starcoder",
     .modelType = "gpt_bigcode",
     .className = "GPTBigCodeForCausalLM",
     .layerPrefix = "transformer.h.",
     .modelNames = kGpt2Model,
     .layerNames = {kStarcoder},
     .hasLayerNorm = true,
     .epsilonKey = "layer_norm_epsilon",
     .intermediateKey = "n_inner",
     .rope = GgufRope::none,
     .describe = gguf::starcoder},
    {.name = "gpt2",
     .modelType = "gpt2",
     .className = "GPT2LMHeadModel",
     .layerPrefix = "transformer.h.",
     .modelNames = kGpt2Model,
     .layerNames = {kGpt2},
     .hasLayerNorm = true,
     .epsilonKey = "layer_norm_epsilon",
     .intermediateKey = "n_inner",
     .rope = GgufRope::none},
    {.name = "gptneox",
     .modelType = "gpt_neox",
     .className = "GPTNeoXForCausalLM",
     .layerPrefix = "gpt_neox.layers.",
     .modelNames = kNeoxModel,
     .layerNames = {kNeox},
     .hasLayerNorm = true,
     .epsilonKey = "layer_norm_eps",
     .rope = GgufRope::partial,
     .describe = gguf::gptneox},
    {.name = "bloom",
     .modelType = "bloom",
     .className = "BloomForCausalLM",
     .layerPrefix = "transformer.h.",
     .modelNames = kBloomModel,
     .layerNames = {kBloom},
     .hasLayerNorm = true,
     .epsilonKey = "layer_norm_epsilon",
     .intermediateKey = "n_inner",
     .rope = GgufRope::none},
    {.name = "falcon",
     .modelType = "falcon",
     .className = "FalconForCausalLM",
     .marker = "attn_norm_2.weight",
     .layerPrefix = "transformer.h.",
     .modelNames = kBloomModel,
     .layerNames = {kFalcon, kFalconTwoNorms},
     .hasLayerNorm = true,
     .epsilonKey = "layer_norm_epsilon",
     .intermediateKey = "ffn_hidden_size",
     .describe = gguf::falcon},
    {.name = "falcon",
     .modelType = "falcon",
     .className = "FalconForCausalLM",
     .layerPrefix = "transformer.h.",
     .modelNames = kBloomModel,
     .layerNames = {kFalcon, kFalconOneNorm},
     .hasLayerNorm = true,
     .epsilonKey = "layer_norm_epsilon",
     .intermediateKey = "ffn_hidden_size",
     .describe = gguf::falcon},
    {.name = "stablelm",
     .modelType = "stablelm",
     .className = "StableLmForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kAttention, kStablelmRest, kStablelmNorms},
     .hasLayerNorm = true,
     .epsilonKey = "layer_norm_eps",
     .rope = GgufRope::partial,
     .describe = gguf::stablelm},
    {.name = "olmo",
     .modelType = "olmo",
     .className = "OlmoForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kInterleavedAttention, kLlamaRest},
     .hasLayerNorm = true,
     .epsilonKey = "layer_norm_eps",
     .keys = {"attention.clamp_kqv"},
     .describe = gguf::olmo},
    {.name = "olmo2",
     .modelType = "olmo2",
     .className = "Olmo2ForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kAttention, kOlmo2Rest, kHeadNorms}},
    {.name = "command-r",
     .modelType = "cohere",
     .className = "CohereForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kAttention, kLlamaRest, kHeadNorms},
     .hasLayerNorm = true,
     .epsilonKey = "layer_norm_eps",
     .keys = {"logit_scale"},
     .describe = gguf::commandR},
    {.name = "chatglm",
     .modelType = "glm",
     .className = "GlmForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kAttention, kGlmRest},
     .rope = GgufRope::partial,
     .describe = gguf::glm},
    {.name = "glm4",
     .modelType = "glm4",
     .className = "Glm4ForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kAttention, kGlmRest, kGlm4Norms},
     .rope = GgufRope::partial,
     .describe = gguf::glm},
    {.name = "deepseek2",
     .modelType = "deepseek_v2",
     .className = "DeepseekV2ForCausalLM",
     .modelNames = kLlamaModel,
     .layerNames = {kDeepseekAttention, kLlamaRest, kDeepseekExperts},
     .rope = GgufRope::separate,
     .keys = {"expert_count", "expert_used_count", "rope.scaling.yarn_log_multiplier"},
     .describe = gguf::deepseek2},
};

}  // namespace

std::span<const GgufArchitecture> ggufArchitectures() { return kArchitectures; }

}  // namespace kvista
