// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What llama.cpp's converter does to tensors of each architecture, undone; and metadata in the keys of config.json.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/io/gguf.h"
#include "tests/unit/io/gguf_builder.h"

namespace kvista {
namespace {

using nlohmann::json;
using test::GgufBuilder;
using test::open;
using test::TemporaryGguf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(const GgufBuilder& builder) {
  const TemporaryGguf file(builder);
  const auto model = openGguf(file.path());
  return model ? "accepted" : model.error().message;
}

std::vector<float> counting(std::size_t count, float first = 0) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

std::vector<float> numbers(const GgufModel& model, const std::string& name) {
  const TensorInfo& info = model.tensors->tensors().at(name);
  std::vector<float> all(info.count());
  EXPECT_TRUE(model.tensors->readFloat32(info, all));
  return all;
}

std::vector<std::int64_t> shapeOf(const GgufModel& model, const std::string& name) {
  return model.tensors->tensors().at(name).shape;
}

/// One layer of `heads` heads of 2 numbers, `kvHeads` of them for keys; all that configurations need.
GgufBuilder sized(const std::string& architecture, std::uint32_t heads, std::uint32_t kvHeads) {
  GgufBuilder out;
  out.text("general.architecture", architecture)
      .integer(architecture + ".block_count", 1)
      .integer(architecture + ".context_length", 64)
      .integer(architecture + ".embedding_length", 2 * heads)
      .integer(architecture + ".feed_forward_length", 3)
      .integer(architecture + ".attention.head_count", heads)
      .integer(architecture + ".attention.head_count_kv", kvHeads)
      .real(architecture + ".attention.layer_norm_rms_epsilon", 1e-6F)
      .real(architecture + ".attention.layer_norm_epsilon", 1e-5F)
      .floats("token_embd.weight", {2 * heads, 3}, counting(6 * heads));
  return out;
}

TEST(GgufArchitectures, FusedRowsStandGroupByGroupAgain) {
  // Rows in the file: 4 query heads, 2 key heads, 2 value heads, of 2 rows each; a bias shows which row is which.
  const auto model = open(sized("falcon", 4, 2).floats("blk.0.attn_qkv.bias", {16}, counting(16)));
  EXPECT_THAT(numbers(model, "transformer.h.0.self_attention.query_key_value.bias"),
              ElementsAre(0, 1, 2, 3, 8, 9, 12, 13, 4, 5, 6, 7, 10, 11, 14, 15));
  const auto neox = open(sized("gptneox", 2, 2).floats("blk.0.attn_qkv.bias", {12}, counting(12)));
  EXPECT_THAT(numbers(neox, "gpt_neox.layers.0.attention.query_key_value.bias"),
              ElementsAre(0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11));
  EXPECT_THAT(refusal(sized("falcon", 4, 2).floats("blk.0.attn_qkv.bias", {15}, counting(15))),
              HasSubstr("has 15 rows; 4 query heads and 2 key heads of 2 need 16"));
}

TEST(GgufArchitectures, MatricesOfGpt2AreTransposedAndBiasesAreNot) {
  const auto model = open(sized("gpt2", 1, 1)
                              .floats("blk.0.ffn_up.weight", {2, 3}, {1, 2, 3, 4, 5, 6})  // 3 rows of 2
                              .floats("blk.0.ffn_up.bias", {3}, {7, 8, 9}));
  EXPECT_THAT(shapeOf(model, "transformer.h.0.mlp.c_fc.weight"), ElementsAre(2, 3));
  EXPECT_THAT(numbers(model, "transformer.h.0.mlp.c_fc.weight"), ElementsAre(1, 3, 5, 2, 4, 6));
  EXPECT_THAT(numbers(model, "transformer.h.0.mlp.c_fc.bias"), ElementsAre(7, 8, 9));
  EXPECT_EQ(model.config["n_inner"], 3);
  EXPECT_FALSE(model.config.contains("rope_parameters"));
}

TEST(GgufArchitectures, NormsOfGemmaLoseTheirOne) {
  const auto model = open(sized("gemma", 1, 1)
                              .floats("output_norm.weight", {2}, {1.5F, 0.25F})
                              .floats("blk.0.ffn_norm.weight", {2}, {1, 2}));
  EXPECT_THAT(numbers(model, "model.norm.weight"), ElementsAre(0.5F, -0.75F));
  EXPECT_THAT(numbers(model, "model.layers.0.post_attention_layernorm.weight"), ElementsAre(0, 1));
  EXPECT_TRUE(model.tensors->raw(model.tensors->tensors().at("model.norm.weight")).empty());
}

TEST(GgufArchitectures, ExpertsAreTensorsOfTheirOwn) {
  const auto model = open(sized("llama", 1, 1)
                              .integer("llama.expert_count", 2)
                              .integer("llama.expert_used_count", 1)
                              .floats("blk.0.ffn_gate_exps.weight", {2, 3, 2}, counting(12)));
  EXPECT_EQ(model.config["model_type"], "mixtral");
  EXPECT_EQ(model.config["num_local_experts"], 2);
  EXPECT_EQ(model.config["num_experts_per_tok"], 1);
  const std::string second = "model.layers.0.block_sparse_moe.experts.1.w1.weight";
  EXPECT_THAT(shapeOf(model, second), ElementsAre(3, 2));
  EXPECT_THAT(numbers(model, second), ElementsAre(6, 7, 8, 9, 10, 11));
  EXPECT_EQ(model.tensors->raw(model.tensors->tensors().at(second)).size(), 24U);
}

TEST(GgufArchitectures, NormsOfHeadsOfStableLmAreTensorsOfTheirOwn) {
  const auto model = open(sized("stablelm", 2, 2).floats("blk.0.attn_q_norm.weight", {2, 2}, counting(4)));
  EXPECT_EQ(model.config["qk_layernorm"], true);
  EXPECT_EQ(model.config["use_parallel_residual"], true);  // there is no ffn_norm
  EXPECT_THAT(numbers(model, "model.layers.0.self_attn.q_layernorm.norms.1.weight"), ElementsAre(2, 3));
}

TEST(GgufArchitectures, OneMatrixOfQueriesKeysAndValuesIsDivided) {
  const auto model = open(sized("chatglm", 2, 1).floats("blk.0.attn_qkv.weight", {4, 8}, counting(32)));
  EXPECT_THAT(shapeOf(model, "model.layers.0.self_attn.q_proj.weight"), ElementsAre(4, 4));
  EXPECT_THAT(numbers(model, "model.layers.0.self_attn.k_proj.weight"), ElementsAre(16, 17, 18, 19, 20, 21, 22, 23));
  EXPECT_THAT(numbers(model, "model.layers.0.self_attn.v_proj.weight"), ElementsAre(24, 25, 26, 27, 28, 29, 30, 31));
}

GgufBuilder deepseek() {
  GgufBuilder out = sized("deepseek2", 2, 1);
  return out.integer("deepseek2.rope.dimension_count", 2)
      .integer("deepseek2.attention.key_length", 5)
      .integer("deepseek2.attention.value_length", 3)
      .integer("deepseek2.attention.key_length_mla", 3)
      .integer("deepseek2.attention.value_length_mla", 2)
      .integer("deepseek2.attention.kv_lora_rank", 3)
      .integer("deepseek2.expert_count", 4)
      .integer("deepseek2.expert_used_count", 2)
      .integer("deepseek2.expert_feed_forward_length", 3)
      .real("deepseek2.expert_weights_scale", 2.5F);
}

TEST(GgufArchitectures, LatentAttentionsExpansionIsWholeAgain) {
  // Of 2 heads a key of 1 number for each of 3 latent ones, transposed, and a value of 2.
  const auto model = open(deepseek()
                              .floats("blk.0.attn_k_b.weight", {1, 3, 2}, counting(6))
                              .floats("blk.0.attn_v_b.weight", {3, 2, 2}, counting(12, 10)));
  const std::string name = "model.layers.0.self_attn.kv_b_proj.weight";
  EXPECT_THAT(shapeOf(model, name), ElementsAre(6, 3));
  EXPECT_THAT(numbers(model, name), ElementsAre(0, 1, 2, 10, 11, 12, 13, 14, 15, 3, 4, 5, 16, 17, 18, 19, 20, 21));
  EXPECT_EQ(model.config["qk_nope_head_dim"], 1);
  EXPECT_EQ(model.config["qk_rope_head_dim"], 2);
  EXPECT_EQ(model.config["v_head_dim"], 2);
  EXPECT_EQ(model.config["q_lora_rank"], json());
  EXPECT_EQ(model.config["routed_scaling_factor"], 2.5);
  EXPECT_THAT(refusal(deepseek().floats("blk.0.attn_k_b.weight", {1, 3, 2}, counting(6))),
              HasSubstr("no attn_v_b beside it"));
  EXPECT_THAT(refusal(deepseek().integer("deepseek2.expert_gating_func", 2)),
              HasSubstr("experts are not chosen as DeepSeek-V2's are"));
}

TEST(GgufArchitectures, PartsOfHeadsThatRotateAreAFraction) {
  GgufBuilder builder = sized("gptneox", 2, 2);
  builder.integer("gptneox.attention.key_length", 10)
      .integer("gptneox.rope.dimension_count", 6)
      .real("gptneox.rope.freq_base", 500);
  const json config = open(builder).config;
  const double fraction = config["rotary_pct"];
  EXPECT_EQ(static_cast<int>(10 * fraction), 6);
  EXPECT_EQ(config["rope_parameters"]["partial_rotary_factor"], fraction);
  EXPECT_EQ(config["rotary_emb_base"], 500);
  EXPECT_THAT(refusal(sized("gptneox", 2, 2).integer("gptneox.rope.dimension_count", 4)),
              HasSubstr("a head has 2 dimensions"));
  EXPECT_THAT(refusal(sized("starcoder2", 2, 2).integer("starcoder2.rope.dimension_count", 4)),
              HasSubstr("heads that are rotated in part are not supported"));
}

TEST(GgufArchitectures, Phi3HasTwoListsOfFactors) {
  GgufBuilder builder = sized("phi3", 1, 1);
  builder.integer("phi3.rope.scaling.original_context_length", 16)
      .real("phi3.rope.scaling.attn_factor", 1.25F)
      .floats("rope_factors_short.weight", {1}, {1})
      .floats("rope_factors_long.weight", {1}, {4});
  const json rope = open(builder).config["rope_parameters"];
  EXPECT_EQ(rope["rope_type"], "longrope");
  EXPECT_EQ(rope["long_factor"], json::array({4.0}));
  EXPECT_EQ(rope["attention_factor"], 1.25);
  EXPECT_EQ(rope["original_max_position_embeddings"], 16);
  EXPECT_THAT(refusal(sized("phi3", 1, 1).floats("rope_factors_short.weight", {1}, {1})),
              HasSubstr("it has one of the tensors"));
}

TEST(GgufArchitectures, Gemma3HasARopeForEachKindOfLayer) {
  GgufBuilder builder = sized("gemma3", 2, 1);
  builder.integer("gemma3.attention.sliding_window", 8)
      .real("gemma3.rope.freq_base", 1e6F)
      .text("gemma3.rope.scaling.type", "linear")
      .real("gemma3.rope.scaling.factor", 8);
  const json config = open(builder).config;
  EXPECT_EQ(config["model_type"], "gemma3_text");
  EXPECT_EQ(config["rope_parameters"]["full_attention"]["factor"], 8);
  EXPECT_EQ(config["rope_parameters"]["sliding_attention"]["rope_theta"], 10000);
  EXPECT_EQ(config["layer_types"], json::array({"sliding_attention"}));
  EXPECT_EQ(config["query_pre_attn_scalar"], 2);
}

TEST(GgufArchitectures, GraniteHasFourMultipliers) {
  GgufBuilder builder = sized("granite", 2, 2);
  builder.real("granite.attention.scale", 0.25F)
      .real("granite.embedding_scale", 12)
      .real("granite.residual_scale", 0.5F)
      .real("granite.logit_scale", 8);
  const json config = open(builder).config;
  EXPECT_EQ(config["attention_multiplier"], 0.25);
  EXPECT_EQ(config["embedding_multiplier"], 12);
  EXPECT_EQ(config["residual_multiplier"], 0.5);
  EXPECT_EQ(config["logits_scaling"], 8);
  EXPECT_THAT(refusal(sized("gemma", 2, 2).real("gemma.logit_scale", 8)),
              HasSubstr("'gemma.logit_scale' is 8, which is not supported"));
}

TEST(GgufArchitectures, FalconsFormIsSeenByItsNorms) {
  const auto one = open(sized("falcon", 4, 1).floats("blk.0.attn_norm.weight", {8}, counting(8)));
  EXPECT_EQ(one.config["new_decoder_architecture"], false);
  EXPECT_TRUE(one.tensors->tensors().contains("transformer.h.0.input_layernorm.weight"));
  const auto two = open(sized("falcon", 4, 2)
                            .floats("blk.0.attn_norm.weight", {8}, counting(8))
                            .floats("blk.0.attn_norm_2.weight", {8}, counting(8)));
  EXPECT_EQ(two.config["num_ln_in_parallel_attn"], 2);
  EXPECT_TRUE(two.tensors->tensors().contains("transformer.h.0.ln_mlp.weight"));
  EXPECT_TRUE(two.tensors->tensors().contains("transformer.h.0.ln_attn.weight"));
}

TEST(GgufArchitectures, TensorsInTwoFormsAreRefused) {
  EXPECT_THAT(refusal(sized("chatglm", 2, 1)
                          .floats("blk.0.attn_qkv.weight", {4, 8}, counting(32))
                          .floats("blk.0.attn_k.weight", {4, 2}, counting(8))),
              HasSubstr("it holds tensor 'model.layers.0.self_attn.k_proj.weight' twice"));
  EXPECT_THAT(refusal(sized("gpt2", 1, 1).floats("blk.0.ffn_gate.weight", {2, 3}, counting(6))),
              HasSubstr("tensor 'blk.0.ffn_gate.weight' is not known in models of architecture 'gpt2'"));
}

}  // namespace
}  // namespace kvista
