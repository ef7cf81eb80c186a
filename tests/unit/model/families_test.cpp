// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// How families read their configurations: what absent keys mean, which rows of fused matrices are whose, where a
// decoder stands in a checkpoint. That the models so described compute the right numbers, reference_test.cpp shows.
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>

#include "core/io/tensor_views.h"
#include "core/model/description.h"
#include "test_models.h"

namespace kvista::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

DecoderDescription described(const json& config) { return valueOf(describeConfig(config, "config.json")); }

std::string refusal(const json& config) {
  const auto description = describeConfig(config, "config.json");
  return description ? "accepted" : description.error().message;
}

/// 4 layers of 32 heads on 256 numbers, under all the names that families have for these sizes.
json sizes(const std::string& modelType) {
  return {{"model_type", modelType},
          {"num_hidden_layers", 4},
          {"n_layer", 4},
          {"hidden_size", 256},
          {"n_embd", 256},
          {"num_attention_heads", 32},
          {"n_head", 32},
          {"intermediate_size", 64},
          {"ffn_dim", 64},
          {"vocab_size", 50},
          {"num_experts_per_tok", 2}};
}

/// Of one tensor the rows that a view shows.
std::vector<int> rowsOf(const DecoderDescription& description, const std::string& name) {
  const TensorView& view = description.views.at(name);
  std::vector<int> rows;
  for (std::int64_t block = 0; block < view.blocks; ++block)
    for (std::int64_t row = 0; row < view.block; ++row)
      rows.push_back(static_cast<int>(view.first + block * view.stride + row));
  return rows;
}

/// The checkpoint with other names for its tensors.
Checkpoint renamed(const Checkpoint& checkpoint, const std::function<std::string(const std::string&)>& name) {
  Checkpoint result = checkpoint;
  auto store = std::make_shared<MemoryStore>();
  for (const auto& [old, tensor] : checkpoint.tensors->tensors()) store->set(name(old), storeOf(checkpoint).at(old));
  result.tensors = store;
  return result;
}

std::string replaced(const std::string& name, const std::string& prefix, const std::string& with) {
  return name.starts_with(prefix) ? with + name.substr(prefix.size()) : name;
}

// Section 2 of the specification of families: what an absent key means.
struct Absent {
  const char* family;
  int kvHeads;
  int headDim;
  bool isTied;
  double theta;         ///< 0: no rope.
  std::int64_t window;  ///< Of layer 0; 0: none.
};

class AbsentKeys : public testing::TestWithParam<Absent> {};

TEST_P(AbsentKeys, MeanWhatTheFamilySays) {
  const Absent& expected = GetParam();
  const DecoderDescription description = described(sizes(expected.family));
  EXPECT_EQ(description.shape.kvHeads, expected.kvHeads);
  EXPECT_EQ(description.shape.headDim, expected.headDim);
  EXPECT_EQ(description.head.linear.weight == description.embedding.weight, expected.isTied);
  EXPECT_EQ(description.ropes.empty() ? 0 : description.ropes[0].theta, expected.theta);
  EXPECT_EQ(description.layers[0].attention.slidingWindow.value_or(0), expected.window);
}

constexpr Absent kAbsent[] = {
    {"llama", 32, 8, false, 1e4, 0},
    {"mistral", 8, 8, false, 1e4, 4096},
    {"mixtral", 8, 8, false, 1e6, 0},
    {"qwen2", 32, 8, false, 1e4, 0},
    {"qwen3", 32, 128, false, 1e4, 0},
    {"qwen3_moe", 4, 8, false, 1e4, 0},
    {"gemma", 16, 256, true, 1e4, 0},
    {"gemma2", 4, 256, true, 1e4, 4096},
    {"gemma3_text", 4, 256, true, 1e6, 4096},
    {"phi", 32, 8, false, 1e4, 0},
    {"phi3", 32, 8, false, 1e4, 0},
    {"starcoder2", 2, 8, true, 1e4, 0},
    {"stablelm", 32, 8, false, 1e4, 0},
    {"olmo", 32, 8, false, 1e4, 0},
    {"olmo2", 32, 8, false, 1e4, 0},
    {"granite", 32, 8, false, 1e4, 0},
    {"smollm3", 4, 8, true, 2e6, 0},
    {"internlm3", 2, 128, false, 1e4, 0},
    {"glm", 2, 128, false, 1e4, 0},
    {"glm4", 2, 128, false, 1e4, 0},
    {"cohere", 32, 8, true, 5e5, 0},
    {"gpt_neox", 32, 8, false, 1e4, 0},
    {"gpt2", 32, 8, true, 0, 0},
    {"gpt_neo", 32, 8, true, 0, 0},
    {"minimax_m2", 8, 128, false, 5e6, 0},
    {"glm4v_text", 2, 8, false, 1e4, 0},
    {"gpt_bigcode", 1, 8, true, 0, 0},
    {"opt", 32, 8, true, 0, 0},
    {"bloom", 32, 8, true, 0, 0},
    {"falcon", 1, 8, true, 1e4, 0},
    {"deepseek_v2", 1, 64, false, 1e4, 0},
    {"deepseek_v3", 1, 64, false, 1e4, 0},
    {"glm4_moe", 8, 8, false, 1e4, 0},
    {"glm4_moe_lite", 1, 64, false, 1e4, 0},
    {"ernie4_5", 2, 128, true, 5e5, 0},
    {"ernie4_5_moe", 4, 8, true, 5e5, 0},
    {"qwen2_moe", 16, 8, false, 1e4, 0},
    {"qwen2_vl", 8, 8, false, 1e6, 0},
    {"qwen3_vl_text", 32, 128, false, 5e5, 0},
    {"qwen3_vl_moe_text", 16, 8, false, 5e5, 0},
    {"olmo3", 32, 8, false, 5e5, 4096},
    {"olmoe", 32, 8, false, 1e4, 0},
    {"cohere2", 32, 8, true, 1e4, 4096},
    {"exaone", 32, 8, false, 1e4, 0},
    {"exaone4", 32, 8, false, 1e4, 4096},
    {"internlm2", 32, 8, false, 1e4, 0},
    {"hunyuan_v1_dense", 32, 8, false, 1e4, 0},
    {"minicpm", 32, 8, true, 1e4, 0},
    {"granitemoe", 32, 8, false, 1e4, 0},
    {"seed_oss", 8, 128, false, 1e4, 0},
    {"arcee", 32, 8, false, 1e4, 0},
    {"nemotron", 32, 8, false, 1e4, 0},
    {"persimmon", 32, 8, false, 1e4, 0},
    {"mpt", 32, 8, true, 0, 0},
};

INSTANTIATE_TEST_SUITE_P(Families, AbsentKeys, testing::ValuesIn(kAbsent),
                         [](const auto& instance) { return instance.param.family; });

class FamilyFixture : public testing::TestWithParam<const char*> {};

TEST_P(FamilyFixture, EveryTensorHasItsPlace) {
  const auto folder = std::filesystem::path(KVISTA_SHARED_DIR) / "fixtures" / "families" / GetParam();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const Checkpoint checkpoint = valueOf(openCheckpoint(folder));
  const DecoderDescription description = valueOf(describe(checkpoint));
  EXPECT_THAT(description.warnings, testing::IsEmpty());
  std::uint64_t numbers = 0;
  for (const auto& [name, tensor] : checkpoint.tensors->tensors()) {
    if (!name.ends_with(".attn.bias")) numbers += tensor.count();  // GPT-2's masks
  }
  EXPECT_EQ(static_cast<std::uint64_t>(description.shape.parameters), numbers);
}

INSTANTIATE_TEST_SUITE_P(Shared, FamilyFixture,
                         testing::Values("bloom", "deepseek_v2", "falcon", "falcon-new", "falcon-rw", "gemma", "gemma2",
                                         "glm", "glm4", "gpt2", "gpt2-prefixed", "gpt_bigcode", "gpt_neox",
                                         "gpt_neox-seq", "gptj", "granite", "internlm3", "llama", "mistral", "mixtral",
                                         "olmo", "opt", "opt-350m-style", "phi", "phi-v5", "phi3", "phi3-longrope",
                                         "phi3-longrope-v5", "phi4-mini", "qwen2", "qwen3", "qwen3_moe", "smollm3",
                                         "starcoder2"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(MimoV2Flash, IsReadWhereAllLayersSeeEverythingAndNoneHasExperts) {
  json config = sizes("mimo_v2_flash");
  config.update({{"attention_value_scale", nullptr},
                 {"hybrid_layer_pattern", {0, 0, 0, 0}},
                 {"moe_layer_freq", {0, 0, 0, 0}},
                 {"attention_bias", true}});
  const DecoderDescription description = described(config);
  EXPECT_EQ(description.shape.kvHeads, 4);
  EXPECT_EQ(description.shape.headDim, 192);
  EXPECT_EQ(description.shape.valueHeadDim, 128);
  EXPECT_EQ(description.ropes[0].theta, 5e6);
  EXPECT_EQ(description.ropes[0].rotaryDim, 64);
  const AttentionDescription& attention = description.layers[3].attention;
  EXPECT_EQ(attention.value.out, 4 * 128);
  EXPECT_EQ(attention.output.in, 32 * 128);
  EXPECT_EQ(attention.value.bias, "model.layers.3.self_attn.v_proj.bias");
  EXPECT_EQ(attention.output.bias, "");

  config["moe_layer_freq"][3] = 1;
  EXPECT_THAT(refusal(config), HasSubstr("moe_layer_freq: only dense layers are supported"));
  config["mlp_layer_types"] = {"dense", "dense", "dense", "dense"};  // transformers looks there
  EXPECT_EQ(refusal(config), "accepted");
  config.erase("hybrid_layer_pattern");
  EXPECT_THAT(refusal(config), HasSubstr("layer_types: only full_attention layers are supported"));
  config["layer_types"] = {"full_attention", "full_attention", "full_attention", "full_attention"};
  config.erase("attention_value_scale");  // 0.707 where it is absent
  EXPECT_THAT(refusal(config), HasSubstr("attention_value_scale is 0.707; supported: 1"));
}

TEST(FusedMatrices, RowsLieByProjectionOrByGroup) {
  json config = {{"model_type", "phi3"},     {"num_hidden_layers", 1},   {"hidden_size", 8},
                 {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"head_dim", 2},
                 {"intermediate_size", 3},   {"vocab_size", 5}};
  const DecoderDescription phi3 = described(config);
  const std::string fused = "model.layers.0.self_attn.qkv_proj.weight";
  EXPECT_THAT(rowsOf(phi3, fused + "[query]"), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(rowsOf(phi3, fused + "[key]"), ElementsAre(8, 9, 10, 11));
  EXPECT_THAT(rowsOf(phi3, fused + "[value]"), ElementsAre(12, 13, 14, 15));
  EXPECT_THAT(rowsOf(phi3, "model.layers.0.mlp.gate_up_proj.weight[up]"), ElementsAre(3, 4, 5));

  config.update({{"model_type", "falcon"}, {"new_decoder_architecture", true}, {"num_kv_heads", 2}});
  const DecoderDescription falcon = described(config);
  const std::string grouped = "transformer.h.0.self_attention.query_key_value.weight";
  EXPECT_THAT(rowsOf(falcon, grouped + "[query]"), ElementsAre(0, 1, 2, 3, 8, 9, 10, 11));
  EXPECT_THAT(rowsOf(falcon, grouped + "[key]"), ElementsAre(4, 5, 12, 13));
  EXPECT_THAT(rowsOf(falcon, grouped + "[value]"), ElementsAre(6, 7, 14, 15));

  config["model_type"] = "gpt_neox";
  config["rotary_pct"] = 1.0;
  const DecoderDescription neox = described(config);
  EXPECT_THAT(rowsOf(neox, "gpt_neox.layers.0.attention.query_key_value.bias[key]"),
              ElementsAre(2, 3, 8, 9, 14, 15, 20, 21));
}

TEST(FusedMatrices, ShapeOfTheWholeIsAskedFor) {
  const Checkpoint checkpoint = randomCheckpoint(sizes("gpt2"));
  EXPECT_TRUE(describe(checkpoint));
  storeOf(checkpoint).set("transformer.h.1.attn.c_attn.weight", at::zeros({768, 256}));
  const auto refused = describe(checkpoint);
  ASSERT_FALSE(refused);
  EXPECT_THAT(
      refused.error().message,
      HasSubstr(
          "tensor transformer.h.1.attn.c_attn.weight has shape [768, 256]; the configuration asks for [256, 768]"));
}

TEST(FusedMatrices, ReadAsTheyAreStored) {
  const Checkpoint checkpoint = randomCheckpoint(sizes("gpt2"));
  const DecoderDescription description = valueOf(describe(checkpoint));
  const auto store = valueOf(withViews(checkpoint.tensors, description.views));
  const LinearDescription& key = description.layers[2].attention.key;
  std::vector<float> numbers(256 * 256);
  ASSERT_TRUE(store->readFloat32(store->tensors().find(key.weight)->second, numbers));
  const at::Tensor& stored = storeOf(checkpoint).at("transformer.h.2.attn.c_attn.weight");  // [in, query | key | value]
  for (const auto& [out, in] : {std::pair{0, 0}, {0, 5}, {7, 0}, {255, 254}})
    EXPECT_EQ(numbers[static_cast<std::size_t>(out * 256 + in)], stored[in][256 + out].item<float>());
}

TEST(StableLm, NormsOfHeadsAreStacked) {
  json config = sizes("stablelm");
  config["qk_layernorm"] = true;
  config["num_key_value_heads"] = 16;
  const Checkpoint checkpoint = randomCheckpoint(config);
  const DecoderDescription description = valueOf(describe(checkpoint));
  const NormDescription& norm = *description.layers[1].attention.keyNorm;
  EXPECT_EQ(norm.heads, 16);
  const auto store = valueOf(withViews(checkpoint.tensors, description.views));
  const TensorInfo& info = store->tensors().find(norm.weight)->second;
  EXPECT_THAT(info.shape, ElementsAre(16, 8));
  std::vector<float> numbers(128);
  ASSERT_TRUE(store->readFloat32(info, numbers));
  EXPECT_EQ(numbers[3 * 8 + 2],
            storeOf(checkpoint).at("model.layers.1.self_attn.k_layernorm.norms.3.weight")[2].item<float>());
}

TEST(Prefix, IsFoundByTheEmbedding) {
  const Checkpoint usual = randomCheckpoint(sizes("gpt2"));
  const DecoderDescription expected = valueOf(describe(usual));
  const Checkpoint bare = renamed(usual, [](const std::string& name) { return replaced(name, "transformer.", ""); });
  const DecoderDescription description = valueOf(describe(bare));
  EXPECT_EQ(description.embedding.weight, "wte.weight");
  EXPECT_EQ(description.head.linear.weight, "wte.weight");
  EXPECT_EQ(description.layers[3].attention.key.weight, "h.3.attn.c_attn.weight[key]");
  EXPECT_EQ(description.views.at("h.3.attn.c_attn.weight[key]").of, "h.3.attn.c_attn.weight");
  EXPECT_EQ(description.shape, expected.shape);
  EXPECT_EQ(description.views.size(), expected.views.size());
}

TEST(Prefix, IsNotGuessedWhereTwoFit) {
  const Checkpoint checkpoint = randomCheckpoint(tinyConfig());
  const Checkpoint twice = renamed(checkpoint, [](const std::string& name) { return replaced(name, "model.", "a."); });
  for (const auto& [name, tensor] : checkpoint.tensors->tensors())
    storeOf(twice).set(replaced(name, "model.", "b."), storeOf(checkpoint).at(name));
  const auto refused = describe(twice);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("tensor model.embed_tokens.weight [29, 20] is missing"));
}

TEST(Multimodal, TextPartOpensAndTheRestIsSaid) {
  const json config = {
      {"model_type", "llava"}, {"text_config", tinyConfig()}, {"vision_config", {{"model_type", "clip_vision_model"}}}};
  const Checkpoint text = randomCheckpoint(tinyConfig());
  struct Style {
    const char* decoder;
    const char* head;
  };
  for (const auto& [decoder, head] :
       {Style{"language_model.model.", "language_model.lm_head.weight"}, {"model.language_model.", "lm_head.weight"}}) {
    Checkpoint checkpoint = renamed(text, [&](const std::string& name) {
      return name == "lm_head.weight" ? head : replaced(name, "model.", decoder);
    });
    checkpoint.config = config;
    storeOf(checkpoint).set("vision_tower.patch.weight", at::zeros({3, 3}));
    const DecoderDescription description = valueOf(describe(checkpoint));
    EXPECT_EQ(description.shape, valueOf(describe(text)).shape);
    EXPECT_EQ(description.head.linear.weight, head);
    EXPECT_EQ(description.layers[1].attention.value.weight, std::string(decoder) + "layers.1.self_attn.v_proj.weight");
    ASSERT_EQ(description.warnings.size(), 1U);
    EXPECT_THAT(description.warnings[0],
                HasSubstr("the other 1 tensors are carried over as they are: vision_tower.patch.weight"));
  }
}

TEST(Multimodal, TextPartMayLeaveOutWhatItsClassHas) {
  // As google/gemma-3-4b-it has it.
  const json text = {{"model_type", "gemma3_text"},
                     {"hidden_size", 2560},
                     {"intermediate_size", 10240},
                     {"num_hidden_layers", 34},
                     {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}},
                     {"sliding_window", 1024}};
  const DecoderDescription description = described({{"model_type", "gemma3"}, {"text_config", text}});
  EXPECT_EQ(description.shape.family, "gemma3_text");
  EXPECT_EQ(description.shape.queryHeads, 8);
  EXPECT_EQ(description.shape.vocabulary, 262208);
  EXPECT_THAT(refusal(text), HasSubstr("config.json: vocab_size is missing"));
  json unknown = {{"model_type", "gemma3"}, {"text_config", text}};
  unknown["text_config"]["model_type"] = "frobnicator";
  EXPECT_THAT(refusal(unknown), HasSubstr("model_type 'frobnicator' is not supported"));
  unknown["text_config"] = text;
  unknown["text_config"]["hidden_size"] = 0;
  EXPECT_THAT(refusal(unknown), HasSubstr("text_config.hidden_size is 0"));
}

TEST(Multimodal, HeadIsTiedByEitherPartUnlessItIsStored) {
  json config = {{"model_type", "mistral3"}, {"text_config", tinyConfig()}, {"tie_word_embeddings", true}};
  EXPECT_EQ(described(config).head.linear.weight, "model.embed_tokens.weight");
  Checkpoint checkpoint = randomCheckpoint(tinyConfig());
  checkpoint.config = config;
  EXPECT_EQ(valueOf(describe(checkpoint)).head.linear.weight, "lm_head.weight");
  config["tie_word_embeddings"] = false;
  EXPECT_EQ(described(config).head.linear.weight, "lm_head.weight");
  config["text_config"]["tie_word_embeddings"] = true;
  EXPECT_EQ(described(config).head.linear.weight, "model.embed_tokens.weight");
}

TEST(Gemma3, OneLayerInSixSeesEverythingWithASlowerRope) {
  json config = sizes("gemma3_text");
  config["num_hidden_layers"] = 7;
  config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 8}};
  config["sliding_window"] = 512;
  const DecoderDescription old = described(config);
  for (int layer = 0; layer < 7; ++layer) {
    EXPECT_EQ(old.layers[layer].attention.slidingWindow, layer == 5 ? std::nullopt : std::optional<std::int64_t>(512))
        << layer;
    EXPECT_EQ(old.layers[layer].attention.rope, layer == 5 ? 0 : 1) << layer;
  }
  ASSERT_EQ(old.ropes.size(), 2U);
  EXPECT_EQ(old.ropes[0].theta, 1e6);
  EXPECT_EQ(old.ropes[0].factor, 8);
  EXPECT_EQ(old.ropes[1].theta, 1e4);
  EXPECT_EQ(old.ropes[1].type, RopeType::standard);
  config.erase("rope_scaling");
  config["rope_parameters"] = {{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 1e6}}},
                               {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 1e4}}}};
  EXPECT_EQ(described(config).ropes, old.ropes);
  config["use_bidirectional_attention"] = true;
  EXPECT_THAT(refusal(config), HasSubstr("use_bidirectional_attention is true"));
}

TEST(Gemma2, SlidesInEverySecondLayerAndCaps) {
  json config = sizes("gemma2");
  const DecoderDescription description = described(config);
  EXPECT_TRUE(description.layers[2].attention.slidingWindow);
  EXPECT_FALSE(description.layers[3].attention.slidingWindow);
  EXPECT_EQ(description.layers[0].attention.scoreCap, 50);
  EXPECT_EQ(description.head.cap, 30);
  EXPECT_DOUBLE_EQ(description.layers[0].attention.scale, 1.0 / 16);
  config["attn_logit_softcapping"] = nullptr;
  config["final_logit_softcapping"] = nullptr;
  EXPECT_EQ(described(config).layers[0].attention.scoreCap, 0);
  EXPECT_EQ(described(config).head.cap, 0);
}

TEST(SmolLm3, EveryFourthLayerHasNoRopeUnlessListed) {
  const auto ropes = [](const json& config) {
    std::string letters;
    for (const auto& layer : described(config).layers) letters += layer.attention.rope ? 'r' : '-';
    return letters;
  };
  json config = sizes("smollm3");
  EXPECT_EQ(ropes(config), "rrr-");
  config["no_rope_layers"] = {1, 0, 1, 0};
  EXPECT_EQ(ropes(config), "r-r-");
  config["no_rope_layers"] = {1, 0};
  EXPECT_THAT(refusal(config),
              HasSubstr("no_rope_layers is a list of 2; it must be a list of 4 whole numbers from 0 to 1"));
  config["no_rope_layers"] = {1, 0, 2, 0};
  EXPECT_THAT(refusal(config), HasSubstr("no_rope_layers[2] is 2"));
}

TEST(LinearBiases, SlopesOfAnyNumberOfHeads) {
  json config = sizes("bloom");
  config["hidden_size"] = 48;
  config["num_attention_heads"] = 6;
  const auto slopes = described(config).layers[0].attention.linearBiases->slopes;
  ASSERT_EQ(slopes.size(), 6U);
  const double expected[] = {1.0 / 4, 1.0 / 16, 1.0 / 64, 1.0 / 256, 1.0 / 2, 1.0 / 8};
  for (int head = 0; head < 6; ++head) EXPECT_DOUBLE_EQ(slopes[static_cast<std::size_t>(head)], expected[head]) << head;
}

TEST(DeepseekV2, CacheIsTheLatentAndOneRotatedKey) {
  json config = sizes("deepseek_v2");
  config.update({{"kv_lora_rank", 24},
                 {"qk_rope_head_dim", 6},
                 {"qk_nope_head_dim", 10},
                 {"v_head_dim", 5},
                 {"q_lora_rank", 12},
                 {"first_k_dense_replace", 1},
                 {"n_routed_experts", 8},
                 {"moe_intermediate_size", 7},
                 {"n_shared_experts", 3}});
  const DecoderDescription description = described(config);
  EXPECT_EQ(description.shape.kvHeads, 1);
  EXPECT_EQ(description.shape.headDim, 6);
  EXPECT_EQ(description.shape.valueHeadDim, 24);
  const AttentionDescription& attention = description.layers[0].attention;
  EXPECT_EQ(rowsOf(description, attention.value.weight).front(), 0);
  EXPECT_EQ(rowsOf(description, attention.key.weight).front(), 24);
  EXPECT_EQ(attention.query.in, 12);
  EXPECT_EQ(attention.query.out, 32 * 16);
  EXPECT_EQ(attention.output.in, 32 * 5);
  EXPECT_EQ(attention.latent->expansion.out, 32 * 15);
  EXPECT_DOUBLE_EQ(attention.scale, 0.25);
  EXPECT_FALSE(description.layers[0].feedForward.router);
  const FeedForwardDescription& mixture = description.layers[1].feedForward;
  EXPECT_EQ(mixture.experts.size(), 8U);
  EXPECT_EQ(mixture.shared->up.out, 21);
  EXPECT_FALSE(mixture.router->renormalises);

  config["rope_scaling"] = {{"type", "yarn"},
                            {"factor", 40},
                            {"mscale", 0.707},
                            {"mscale_all_dim", 0.707},
                            {"original_max_position_embeddings", 4096}};
  const double temperature = 0.1 * 0.707 * std::log(40.0) + 1;
  EXPECT_DOUBLE_EQ(described(config).layers[0].attention.scale, 0.25 * temperature * temperature);
  EXPECT_DOUBLE_EQ(described(config).ropes[0].attentionFactor, 1);

  config.update({{"topk_method", "group_limited_greedy"}, {"n_group", 4}, {"topk_group", 2}});
  EXPECT_EQ(described(config).layers[1].feedForward.router->groups, 4);
  EXPECT_EQ(described(config).layers[1].feedForward.router->chosenGroups, 2);
  config["n_group"] = 3;
  EXPECT_THAT(refusal(config), HasSubstr("8 experts in n_group 3 groups"));
  config["topk_method"] = "noaux_tc";
  EXPECT_THAT(refusal(config), HasSubstr("topk_method 'noaux_tc' are not supported"));
}

TEST(DeepseekV3, ExpertsAreChosenByCorrectedSigmoids) {
  json config = sizes("deepseek_v3");
  config.update({{"n_routed_experts", 8},
                 {"moe_intermediate_size", 7},
                 {"first_k_dense_replace", 1},
                 {"n_group", 4},
                 {"topk_group", 2}});
  const FeedForwardDescription mixture = described(config).layers[1].feedForward;
  EXPECT_FALSE(described(config).layers[0].feedForward.router);
  EXPECT_TRUE(mixture.router->isSigmoid);
  EXPECT_EQ(mixture.router->correction, "model.layers.1.mlp.gate.e_score_correction_bias");
  EXPECT_EQ(mixture.router->groupBest, 2);
  EXPECT_DOUBLE_EQ(mixture.router->scale, 2.5);
  EXPECT_EQ(mixture.shared->up.out, 7);
  config["n_group"] = 8;
  EXPECT_THAT(refusal(config), HasSubstr("8 experts in n_group 8 groups"));
  config["n_group"] = 4;
  config["scoring_func"] = "softmax";
  EXPECT_THAT(refusal(config), HasSubstr("scoring_func 'softmax' and topk_method 'noaux_tc' are not supported"));
}

TEST(StackedExperts, RowsAreThoseOfOneMatrix) {
  json config = sizes("granitemoe");
  config["num_local_experts"] = 3;
  DecoderDescription description = described(config);
  const std::string stack = "model.layers.2.block_sparse_moe.input_linear.weight";
  const MlpDescription& expert = description.layers[2].feedForward.experts[1];
  EXPECT_EQ(rowsOf(description, expert.gate->weight).front(), 128);
  EXPECT_EQ(rowsOf(description, expert.up.weight).back(), 255);
  EXPECT_THAT(description.views.at(expert.up.weight).shape, ElementsAre(3, 128, 256));
  MemoryStore store;  // as [matrices, in, out]
  store.set(stack, at::zeros({3, 256, 128}));
  findTensors(description, store);
  EXPECT_THAT(description.views.at(expert.up.weight).shape, ElementsAre(3, 256, 128));
  EXPECT_TRUE(description.views.at(expert.up.weight).isTransposed);
  EXPECT_FALSE(description.views.at(description.layers[1].feedForward.experts[1].up.weight).isTransposed);
}

TEST(StackedExperts, AreReadFromTheirStack) {
  const auto store = std::make_shared<MemoryStore>();
  store->set("stack", at::arange(24).to(at::kFloat).view({2, 3, 4}));
  store->set("biases", at::arange(8).to(at::kFloat).view({2, 4}));
  const TensorView transposed{.of = "stack", .isTransposed = true, .first = 5, .block = 1, .stride = 2, .blocks = 2};
  const TensorView plain{.of = "stack", .first = 4, .block = 2, .stride = 2};
  const TensorView flat{.of = "biases", .isVector = true, .first = 5, .block = 1, .stride = 2, .blocks = 2};
  const auto views = valueOf(withViews(store, {{"transposed", transposed}, {"plain", plain}, {"flat", flat}}));
  const auto read = [&](const char* name) {
    const TensorInfo& info = views->tensors().find(name)->second;
    std::vector<float> numbers(info.count());
    EXPECT_TRUE(views->readFloat32(info, numbers)) << name;
    return numbers;
  };
  EXPECT_THAT(views->tensors().find("transposed")->second.shape, ElementsAre(2, 3));
  EXPECT_THAT(read("transposed"), ElementsAre(13, 17, 21, 15, 19, 23));  // columns 1 and 3 of the second matrix
  EXPECT_THAT(views->tensors().find("plain")->second.shape, ElementsAre(2, 4));
  EXPECT_THAT(read("plain"), ElementsAre(16, 17, 18, 19, 20, 21, 22, 23));
  EXPECT_THAT(views->tensors().find("flat")->second.shape, ElementsAre(2));
  EXPECT_THAT(read("flat"), ElementsAre(5, 7));
  TensorView ofBoth = plain;
  ofBoth.first = 2;
  EXPECT_FALSE(withViews(store, {{"both", ofBoth}}));
  ofBoth.first = 5;
  EXPECT_FALSE(withViews(store, {{"beyond", ofBoth}}));
}

TEST(Refusals, SayWhyATypeOfModelIsNoFamily) {
  json config = sizes("qwen3_next");
  EXPECT_THAT(refusal(config), HasSubstr("model_type 'qwen3_next' keeps a state in place of keys and values"));
  config["model_type"] = "deepseek_v32";
  EXPECT_THAT(refusal(config), HasSubstr("model_type 'deepseek_v32' is not supported."));
  config["auto_map"] = {{"AutoModelForCausalLM", "modeling.Model"}};
  EXPECT_THAT(refusal(config), HasSubstr("brings its own code (auto_map), which is never run"));
  config["kvista"] = json::object();
  EXPECT_THAT(refusal(config), HasSubstr("this is an export of KVista's own, of model_type 'deepseek_v32'"));
  config = sizes("mpt");
  config["attn_config"] = {{"alibi", false}};
  EXPECT_THAT(refusal(config), HasSubstr("of MPT only models with alibi"));
  config = sizes("olmoe");
  config["clip_qkv"] = 4;
  EXPECT_THAT(refusal(config),
              HasSubstr("clip_qkv is 4; queries and keys that are clamped after their norms are not supported"));
  config = sizes("exaone4");
  config["sliding_window_pattern"] = "LXG";
  EXPECT_THAT(refusal(config), HasSubstr("sliding_window_pattern is 'LXG'; it must be a number or a text of L and G"));
}

TEST(Qwen3Moe, SomeLayersAreDense) {
  json config = sizes("qwen3_moe");
  config.update({{"mlp_only_layers", {3}}, {"decoder_sparse_step", 2}, {"num_experts", 6}, {"norm_topk_prob", true}});
  std::string kinds;
  for (const auto& layer : described(config).layers) kinds += layer.feedForward.router ? 'm' : 'd';
  EXPECT_EQ(kinds, "dmdd");
  EXPECT_TRUE(described(config).layers[1].feedForward.router->renormalises);
  config["num_experts_per_tok"] = 7;
  EXPECT_THAT(refusal(config), HasSubstr("num_experts_per_tok is 7; it must be a whole number from 1 to 6"));
}

TEST(Falcon, FormsDifferInNormsAndArrangement) {
  const auto layer = [](const json& changes) {
    json config = sizes("falcon");
    config.update(changes);
    return described(config).layers[0];
  };
  EXPECT_EQ(layer(json::object()).arrangement, Arrangement::parallel);
  EXPECT_FALSE(layer(json::object()).feedForwardNorm);
  const json grouped = {{"new_decoder_architecture", true}, {"num_kv_heads", 8}};
  EXPECT_EQ(layer(grouped).feedForwardNorm->weight, "transformer.h.0.ln_mlp.weight");
  EXPECT_EQ(layer(grouped).attention.key.out, 64);
  json eleven = grouped;
  eleven["num_ln_in_parallel_attn"] = 1;
  EXPECT_EQ(layer(eleven).attentionNorm->weight, "transformer.h.0.input_layernorm.weight");
  EXPECT_FALSE(layer(eleven).feedForwardNorm);
  const LayerDescription rw =
      layer({{"multi_query", false}, {"parallel_attn", false}, {"alibi", true}, {"bias", true}});
  EXPECT_EQ(rw.arrangement, Arrangement::sequential);
  EXPECT_TRUE(rw.attention.linearBiases->isBeforeScale);
  EXPECT_FALSE(rw.attention.rope);
  EXPECT_EQ(rw.attention.key.out, 256);
}

TEST(HostileSizes, AreRefusedBeforeAnythingGrows) {
  json config = sizes("llama");
  config["num_hidden_layers"] = 10000;
  config["head_dim"] = 2;
  config["num_attention_heads"] = 4096;
  config["num_key_value_heads"] = 4096;
  EXPECT_THAT(refusal(config), HasSubstr("10000 layers of 4096 heads each are 40960000; at most 262144 are supported"));
  config = sizes("mixtral");
  config["num_local_experts"] = 262144;
  EXPECT_THAT(refusal(config), HasSubstr("4 layers of 262144 experts each are 1048576"));
  config = sizes("gptj");
  config["rotary_dim"] = 5;
  EXPECT_THAT(refusal(config), HasSubstr("rotary_dim is 5; it must be even"));
  config = sizes("bloom");
  config["apply_residual_connection_post_layernorm"] = true;
  EXPECT_THAT(refusal(config), HasSubstr("apply_residual_connection_post_layernorm is true, which is not supported"));
}

}  // namespace
}  // namespace kvista::test
