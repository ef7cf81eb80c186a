// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/io/gguf.h"
#include "tests/unit/io/gguf_builder.h"

namespace kvista {
namespace {

using nlohmann::json;
using test::GgufBuilder;
using test::open;
using test::TemporaryGguf;
using test::tinyModel;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Error openError(const GgufBuilder& builder) {
  const TemporaryGguf file(builder);
  const auto model = openGguf(file.path());
  EXPECT_FALSE(model);
  return model ? Error{} : model.error();
}

std::vector<float> firstColumn(const TensorStore& store, const std::string& name) {
  const TensorInfo& info = store.tensors().at(name);
  std::vector<float> all(info.count());
  EXPECT_TRUE(store.readFloat32(info, all));
  std::vector<float> out;
  for (std::size_t i = 0; i < all.size(); i += static_cast<std::size_t>(info.shape.back())) out.push_back(all[i]);
  return out;
}

TEST(GgufModel, ConfigurationHasHuggingFaceKeys) {
  const json config = open(tinyModel()).config;
  EXPECT_EQ(config["model_type"], "llama");
  EXPECT_EQ(config["num_hidden_layers"], 1);
  EXPECT_EQ(config["hidden_size"], 4);
  EXPECT_EQ(config["intermediate_size"], 2);
  EXPECT_EQ(config["num_attention_heads"], 2);
  EXPECT_EQ(config["num_key_value_heads"], 1);
  EXPECT_EQ(config["head_dim"], 4);
  EXPECT_EQ(config["max_position_embeddings"], 128);
  EXPECT_EQ(config["rms_norm_eps"], 1e-5);  // and not the double nearest to the file's float
  EXPECT_EQ(config["vocab_size"], 3);
  EXPECT_EQ(config["tie_word_embeddings"], true);
  EXPECT_EQ(config["attention_bias"], false);
  EXPECT_EQ(config["torch_dtype"], "float32");
  EXPECT_EQ(config["rope_parameters"], json({{"rope_type", "default"}, {"rope_theta", 500000.0}}));
  EXPECT_EQ(open(tinyModel().floats("output.weight", {4, 3}, std::vector<float>(12))).config["tie_word_embeddings"],
            false);
}

TEST(GgufModel, RowsOfLlamaQueriesAndKeysAreUnpermuted) {
  const auto model = open(tinyModel());
  const TensorStore& store = *model.tensors;
  EXPECT_THAT(store.tensors().at("model.layers.0.self_attn.q_proj.weight").shape, ElementsAre(8, 4));
  // Within each head of four rows, file order (0, 1, 2, 3) holds Hugging Face's rows (0, 2, 1, 3).
  EXPECT_THAT(firstColumn(store, "model.layers.0.self_attn.q_proj.weight"), ElementsAre(0, 8, 4, 12, 16, 24, 20, 28));
  EXPECT_THAT(firstColumn(store, "model.layers.0.self_attn.k_proj.weight"), ElementsAre(0, 8, 4, 12));
  EXPECT_THAT(firstColumn(store, "model.layers.0.self_attn.v_proj.weight"), ElementsAre(0, 4, 8, 12));
  EXPECT_TRUE(store.raw(store.tensors().at("model.layers.0.self_attn.q_proj.weight")).empty());
  EXPECT_EQ(store.raw(store.tensors().at("model.embed_tokens.weight")).size(), 48u);
}

TEST(GgufModel, BiasesAreUnpermutedToo) {
  const auto model = open(tinyModel()
                              .floats("blk.0.attn_q.bias", {8}, {0, 1, 2, 3, 4, 5, 6, 7})
                              .floats("blk.0.attn_k.bias", {4}, {0, 1, 2, 3})
                              .floats("blk.0.attn_v.bias", {4}, {0, 1, 2, 3})
                              .floats("blk.0.attn_output.bias", {4}, {0, 1, 2, 3}));
  EXPECT_EQ(model.config["attention_bias"], true);
  std::vector<float> bias(8);
  ASSERT_TRUE(model.tensors->readFloat32(model.tensors->tensors().at("model.layers.0.self_attn.q_proj.bias"), bias));
  EXPECT_THAT(bias, ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
}

TEST(GgufModel, Qwen3KeepsItsRowsAndHasHeadNorms) {
  const auto model = open(tinyModel("qwen3")
                              .floats("blk.0.attn_q_norm.weight", {4}, {1, 2, 3, 4})
                              .floats("blk.0.attn_k_norm.weight", {4}, {1, 2, 3, 4}));
  EXPECT_EQ(model.config["model_type"], "qwen3");
  EXPECT_THAT(firstColumn(*model.tensors, "model.layers.0.self_attn.k_proj.weight"), ElementsAre(0, 4, 8, 12));
  EXPECT_TRUE(model.tensors->tensors().contains("model.layers.0.self_attn.q_norm.weight"));
  EXPECT_THAT(openError(tinyModel().floats("blk.0.attn_q_norm.weight", {4}, {1, 2, 3, 4})).message,
              HasSubstr("tensor 'blk.0.attn_q_norm.weight' is not known in models of architecture 'llama'"));
}

TEST(GgufModel, RotaryScalings) {
  EXPECT_EQ(open(tinyModel().text("llama.rope.scaling.type", "linear").real("llama.rope.scaling.factor", 4))
                .config["rope_parameters"],
            json({{"rope_type", "linear"}, {"rope_theta", 500000.0}, {"factor", 4.0}}));
  const json yarn = open(tinyModel()
                             .text("llama.rope.scaling.type", "yarn")
                             .real("llama.rope.scaling.factor", 8)
                             .integer("llama.rope.scaling.original_context_length", 64)
                             .real("llama.rope.scaling.attn_factor", 2))
                        .config["rope_parameters"];
  EXPECT_EQ(yarn["rope_type"], "yarn");
  EXPECT_EQ(yarn["original_max_position_embeddings"], 64);
  EXPECT_DOUBLE_EQ(yarn["attention_factor"].get<double>(), 2 * (0.1 * std::log(8.0) + 1));
  EXPECT_EQ(open(tinyModel().floats("rope_freqs.weight", {2}, {1, 8})).config["rope_parameters"],
            json({{"rope_type", "factors"}, {"rope_theta", 500000.0}, {"factors", {1.0, 8.0}}}));
  EXPECT_EQ(open(tinyModel().floats("rope_freqs.weight", {2}, {1, 1})).config["rope_parameters"]["rope_type"],
            "default");
  EXPECT_THAT(openError(tinyModel().floats("rope_freqs.weight", {2}, {1, 0})).message,
              HasSubstr("factors are positive"));
  EXPECT_THAT(openError(tinyModel().text("llama.rope.scaling.type", "longrope")).message,
              HasSubstr("'longrope', which is not supported; supported: none, linear, yarn."));
}

TEST(GgufModel, SlidingWindowMakesMistral) {
  const json config = open(tinyModel().integer("llama.attention.sliding_window", 16)).config;
  EXPECT_EQ(config["model_type"], "mistral");
  EXPECT_EQ(config["sliding_window"], 16);
}

TEST(GgufModel, RefusesWhatItDoesNotCompute) {
  EXPECT_THAT(
      openError(tinyModel("mistral3")).message,
      HasSubstr(
          "architecture 'mistral3' is not supported in GGUF files; supported: llama, qwen2, qwen3, qwen3moe, granite"));
  const Error experts = openError(tinyModel().integer("llama.expert_count", 8));
  EXPECT_EQ(experts.code, ErrorCode::unsupportedModel);
  EXPECT_THAT(experts.message, HasSubstr("'llama.expert_count' is 8"));
  EXPECT_THAT(openError(tinyModel().integer("split.count", 3)).message, HasSubstr("one of 3 parts"));
  EXPECT_THAT(openError(tinyModel().integer("llama.rope.dimension_count", 2)).message, HasSubstr("rotated in part"));
  EXPECT_THAT(openError(tinyModel().floats("blk.1.attn_norm.weight", {4}, {0, 0, 0, 0})).message,
              HasSubstr("a model of 1 layers"));
  EXPECT_THAT(openError(tinyModel().floats("blk.0.mystery.weight", {4}, {0, 0, 0, 0})).message,
              HasSubstr("'blk.0.mystery.weight' is not known"));
}

TEST(GgufModel, RealSmolLM2) {
  const char* path = std::getenv("KVISTA_SMOLLM2_GGUF");
  if (path == nullptr) GTEST_SKIP() << "KVISTA_SMOLLM2_GGUF is not set (packaging/fetch-model smollm2 says what to)";
  const auto model = openGguf(path);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->config["num_hidden_layers"], 30);
  EXPECT_EQ(model->config["rope_theta"], 100000.0);
  EXPECT_EQ(model->tensors->tensors().size(), 272u);
  std::uint64_t parameters = 0;
  for (const auto& [name, info] : model->tensors->tensors()) {
    std::vector<float> values(info.count());
    ASSERT_TRUE(model->tensors->readFloat32(info, values)) << name;
    EXPECT_TRUE(std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) << name;
    parameters += info.count();
  }
  EXPECT_EQ(parameters, 134515008u);
  const auto tokenizer = readGgufTokenizer(path);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->tokenizer["model"]["vocab"].size(), 49152u);
  EXPECT_EQ(tokenizer->tokenizer["model"]["merges"].size(), 48900u);
  EXPECT_EQ(tokenizer->tokenizerConfig["eos_token"], "<|im_end|>");
  EXPECT_THAT(tokenizer->tokenizerConfig["chat_template"].get<std::string>(), HasSubstr("<|im_start|>"));
}

}  // namespace
}  // namespace kvista
