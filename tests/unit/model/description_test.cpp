// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What is read from a configuration and what is refused, with which sentence.
#include "core/model/description.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "core/model/families/registry.h"
#include "core/model/weights.h"
#include "test_models.h"

namespace kvista::test {
namespace {

using testing::HasSubstr;

DecoderDescription described(const nlohmann::json& config) { return valueOf(describeConfig(config, "config.json")); }

nlohmann::json withType(const char* modelType) {
  nlohmann::json config = tinyConfig();
  config["model_type"] = modelType;
  return config;
}

TEST(Description, ReadsShape) {
  const Checkpoint checkpoint = randomCheckpoint(tinyConfig());
  const ModelShape shape = valueOf(describe(checkpoint)).shape;
  EXPECT_EQ(shape.family, "llama");
  EXPECT_EQ(shape.layers, 2);
  EXPECT_EQ(shape.queryHeads, 4);
  EXPECT_EQ(shape.kvHeads, 2);
  EXPECT_EQ(shape.headDim, 6);
  EXPECT_EQ(shape.valueHeadDim, 6);
  EXPECT_EQ(shape.hiddenSize, 20);
  EXPECT_EQ(shape.vocabulary, 29);
  const std::int64_t layer = 2 * 20 + 2 * 20 * 24 + 2 * 20 * 12 + 3 * 20 * 26;
  EXPECT_EQ(shape.parameters, 2 * 29 * 20 + 20 + 2 * layer);
}

TEST(Description, TiedHeadIsTheEmbeddingAndCountedOnce) {
  nlohmann::json config = tinyConfig();
  const auto untied = valueOf(describe(randomCheckpoint(config)));
  config["tie_word_embeddings"] = true;
  const auto tied = valueOf(describe(randomCheckpoint(config)));
  EXPECT_EQ(tied.head.linear.weight, tied.embedding.weight);
  EXPECT_EQ(untied.shape.parameters - tied.shape.parameters, 29 * 20);
}

TEST(Description, AbsentKeysMeanWhatTheFamilySays) {
  nlohmann::json config = tinyConfig();
  config["hidden_size"] = 32;
  config.erase("head_dim");
  config.erase("num_key_value_heads");
  EXPECT_EQ(described(config).shape.headDim, 8);
  EXPECT_EQ(described(config).shape.kvHeads, 4);
  config["model_type"] = "mistral";
  config["num_attention_heads"] = 16;
  EXPECT_EQ(described(config).shape.kvHeads, 8);
  config["num_key_value_heads"] = nullptr;
  EXPECT_EQ(described(config).shape.kvHeads, 16);
}

TEST(Description, BiasesFollowTheFamily) {
  const auto biases = [](const nlohmann::json& config) {
    const LayerDescription layer = described(config).layers[0];
    const MlpDescription& mlp = layer.feedForward.experts[0];
    std::string letters;
    for (const auto* linear : {&layer.attention.query, &layer.attention.key, &layer.attention.value,
                               &layer.attention.output, &*mlp.gate, &mlp.up, &mlp.down}) {
      letters += linear->bias.empty() ? '-' : 'b';
    }
    return letters;
  };
  EXPECT_EQ(biases(tinyConfig()), "-------");
  nlohmann::json config = tinyConfig();
  config["attention_bias"] = true;
  EXPECT_EQ(biases(config), "bbbb---");
  config["mlp_bias"] = true;
  EXPECT_EQ(biases(config), "bbbbbbb");
  EXPECT_EQ(biases(withType("mistral")), "-------");
  EXPECT_EQ(biases(withType("qwen2")), "bbb----");
  EXPECT_EQ(biases(withType("qwen3")), "-------");
}

TEST(Description, MistralWindowDefaultsTo4096AndNullMeansNone) {
  nlohmann::json config = withType("mistral");
  EXPECT_EQ(described(config).layers[1].attention.slidingWindow, 4096);
  config["sliding_window"] = nullptr;
  EXPECT_EQ(described(config).layers[1].attention.slidingWindow, std::nullopt);
  config["sliding_window"] = 7;
  EXPECT_EQ(described(config).layers[0].attention.slidingWindow, 7);
}

TEST(Description, QwenWindowsNeedTheSwitch) {
  const auto windows = [](const nlohmann::json& config) {
    std::string letters;
    for (const auto& layer : described(config).layers) letters += layer.attention.slidingWindow ? 'w' : '-';
    return letters;
  };
  nlohmann::json config = withType("qwen2");
  config["sliding_window"] = 16;
  config["max_window_layers"] = 1;
  EXPECT_EQ(windows(config), "--");
  config["use_sliding_window"] = true;
  EXPECT_EQ(windows(config), "-w");
  config["layer_types"] = {"sliding_attention", "full_attention"};
  EXPECT_EQ(windows(config), "w-");
  config["layer_types"] = {"sliding_attention", "linear_attention"};
  const auto refused = describeConfig(config, "config.json");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("layer_types[1] is 'linear_attention', which is not supported"));
}

TEST(Description, Qwen3HasHeadNormsAndHeadsOf128) {
  nlohmann::json config = withType("qwen3");
  config.erase("head_dim");
  const auto description = described(config);
  EXPECT_EQ(description.shape.headDim, 128);
  EXPECT_EQ(description.layers[0].attention.keyNorm->width, 128);
}

TEST(Description, UnusedTensorsAreAWarning) {
  const Checkpoint checkpoint = randomCheckpoint(tinyConfig());
  EXPECT_TRUE(valueOf(describe(checkpoint)).warnings.empty());
  storeOf(checkpoint).set("model.layers.0.self_attn.rotary_emb.inv_freq", at::zeros({3}));
  EXPECT_TRUE(valueOf(describe(checkpoint)).warnings.empty());
  storeOf(checkpoint).set("model.layers.2.input_layernorm.weight", at::zeros({20}));
  const auto warnings = valueOf(describe(checkpoint)).warnings;
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], HasSubstr("model.layers.2.input_layernorm.weight"));
}

TEST(Description, EveryFamilyIsFound) {
  for (const auto name : familyNames()) EXPECT_NE(findFamily(name), nullptr);
  EXPECT_EQ(findFamily("frobnicator"), nullptr);
}

TEST(Description, NonFiniteWeightIsNamedWithItsIndex) {
  const Checkpoint checkpoint = randomCheckpoint(tinyConfig());
  const std::string name = "model.layers.1.self_attn.k_proj.weight";
  at::Tensor weight = storeOf(checkpoint).at(name).clone();
  weight[3][5] = std::numeric_limits<float>::quiet_NaN();
  storeOf(checkpoint).set(name, weight);
  const auto refused = Decoder::load(checkpoint, {}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::numerical);
  EXPECT_THAT(refused.error().message, HasSubstr("tensor " + name + " holds nan at [3, 5]"));
  const auto sentences = valueOf(scanWeights(checkpoint, valueOf(describe(checkpoint)), {}));
  EXPECT_THAT(sentences, testing::ElementsAre(refused.error().message));
}

struct Hostile {
  const char* folder;
  const char* sentence;
};

class HostileCheckpoint : public testing::TestWithParam<Hostile> {};

TEST_P(HostileCheckpoint, IsRefusedWithItsSentence) {
  const auto folder = std::filesystem::path(KVISTA_SHARED_DIR) / "fixtures" / "hostile" / GetParam().folder;
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const auto description = openCheckpoint(folder).and_then(describe);
  ASSERT_FALSE(description);
  EXPECT_THAT(description.error().message, HasSubstr(GetParam().sentence));
  EXPECT_THAT(description.error().message, HasSubstr(GetParam().folder));
}

constexpr Hostile kHostile[] = {
    {"cfg-heads", "num_attention_heads is 3; it must divide hidden_size 16"},
    {"cfg-kv-heads", "num_key_value_heads is 3; it must divide num_attention_heads 4"},
    {"cfg-kv-zero", "num_key_value_heads is 0; it must be a whole number from 1"},
    {"cfg-layers-zero", "num_hidden_layers is 0; it must be a whole number from 1 to 10000"},
    {"cfg-layers-huge", "num_hidden_layers is 1000000000; it must be a whole number from 1 to 10000"},
    {"cfg-layers-negative", "num_hidden_layers is -1"},
    {"cfg-vocab-negative", "vocab_size is -32"},
    {"cfg-vocab-mismatch", "embed_tokens.weight has shape [32, 16]; the configuration asks for [64, 16]"},
    {"cfg-hidden-string", "hidden_size is \"16\"; it must be a whole number"},
    {"cfg-hidden-huge", "hidden_size is 1099511627776"},
    {"cfg-hidden-missing", "hidden_size is missing"},
    {"cfg-theta-zero", "rope_theta is 0"},
    {"cfg-theta-negative", "rope_theta is -10000"},
    {"cfg-eps-negative", "rms_norm_eps is -1"},
    {"cfg-head-dim-huge", "head_dim is 8589934592"},
    {"cfg-model-type-unknown", "model_type 'frobnicator' is not supported."},
    {"cfg-encoder", "model_type 'bert' is not a decoder-only language model"},
    {"cfg-gptq",
     "quantization_config with quant_method \"gptq\" does not fit the weights, of which none is quantised in this way"},
    {"cfg-fp8",
     "quantization_config with quant_method \"fp8\" does not fit the weights, of which none is quantised in this way"},
    {"cfg-act-unknown", "hidden_act 'wobble' is not supported; supported: silu"},
    {"cfg-rope-nofactor", "rope_scaling.factor is missing"},
    {"cfg-rope-factor-zero", "rope_scaling.factor is 0"},
    {"cfg-longrope-len", "short_factor is a list of 1; it must be a list of 4"},
    {"cfg-window-negative", "sliding_window is -5"},
    {"cfg-auto-map", "brings its own code (auto_map), which is never run"},
    {"st-dtype-int", "a weight must be floating point"},
    {"st-dtype-bool", "a weight must be floating point"},
    {"st-transposed", "down_proj.weight has shape [24, 16]; the configuration asks for [16, 24]"},
    {"st-1d-matrix", "embed_tokens.weight has shape [512]; the configuration asks for [32, 16]"},
    {"st-no-tensors", "holds no tensors"},
    {"st-lmhead-missing", "tensor lm_head.weight [32, 16] is missing"},
};

INSTANTIATE_TEST_SUITE_P(Shared, HostileCheckpoint, testing::ValuesIn(kHostile), [](const auto& instance) {
  std::string name = instance.param.folder;
  std::erase(name, '-');
  return name;
});

TEST(HostileWeights, InfinityIsNamed) {
  for (const char* name : {"st-inf", "st-all-nan"}) {
    const auto folder = std::filesystem::path(KVISTA_SHARED_DIR) / "fixtures" / "hostile" / name;
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
    const Checkpoint checkpoint = valueOf(openCheckpoint(folder));
    const auto refused = Decoder::load(checkpoint, {}, {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::numerical);
    EXPECT_FALSE(valueOf(scanWeights(checkpoint, valueOf(describe(checkpoint)), {})).empty());
  }
}

}  // namespace
}  // namespace kvista::test
