// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/adapter.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/io/safetensors_writer.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/io/torch_builder.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;
using namespace test;  // NOLINT: pieces of files
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorToWrite tensorOf(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> numbers) {
  return {name, std::move(shape), DataType::f32,
          [numbers = std::move(numbers)]() -> Result<std::span<const std::byte>> {
            return std::as_bytes(std::span(numbers));
          }};
}

/// A model with a matrix q [2, 3], a square one o [2, 2] and a norm, and an adapter of rank 1 beside it.
class AdapterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "models/base");
    fs::create_directories(folder_ / "models/tuned");
    writeText(base() / "config.json", R"({"model_type": "llama"})");
    ASSERT_TRUE(
        writeSafetensors(base() / "model.safetensors",
                         {tensorOf("model.q.weight", {2, 3}, {1, 2, 3, 4, 5, 6}),
                          tensorOf("model.o.weight", {2, 2}, {1, 2, 3, 4}), tensorOf("model.norm.weight", {2}, {1, 1})},
                         {}, {}));
    pair("model.q", {1, 3}, {1, 10, 100}, {2, 1}, {1, 2});
  }
  [[nodiscard]] fs::path base() const { return folder_ / "models/base"; }
  [[nodiscard]] fs::path tuned() const { return folder_ / "models/tuned"; }
  void pair(const std::string& module, std::vector<std::int64_t> aShape, std::vector<float> a,
            std::vector<std::int64_t> bShape, std::vector<float> b) {
    set(module + ".lora_A.weight", std::move(aShape), std::move(a));
    set(module + ".lora_B.weight", std::move(bShape), std::move(b));
  }
  void set(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> numbers) {
    adapter_["base_model.model." + name] = tensorOf("base_model.model." + name, std::move(shape), std::move(numbers));
  }
  Result<Checkpoint> open(const std::string& more = "", const std::string& baseName = "some-org/base") {
    writeText(tuned() / "adapter_config.json",
              R"({"peft_type": "LORA", "r": 1, "lora_alpha": 2, "base_model_name_or_path": ")" + baseName + "\"" +
                  more + "}");
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, tensor] : adapter_) tensors.push_back(tensor);
    EXPECT_TRUE(writeSafetensors(tuned() / "adapter_model.safetensors", tensors, {}, {}));
    return openCheckpoint(tuned());
  }
  std::vector<float> numbers(const std::string& name, const std::string& more = "") {
    const auto checkpoint = open(more);
    if (!checkpoint) throw std::runtime_error(checkpoint.error().message);
    const TensorInfo& tensor = checkpoint->tensors->tensors().at(name);
    std::vector<float> out(tensor.count());
    EXPECT_TRUE(checkpoint->tensors->readFloat32(tensor, out));
    return out;
  }
  std::string refusalOf(const std::string& more, const std::string& baseName = "some-org/base") {
    const auto checkpoint = open(more, baseName);
    if (checkpoint) return "accepted";
    EXPECT_THAT(checkpoint.error().message, ::testing::AllOf(HasSubstr(tuned().string()), ::testing::EndsWith(".")));
    EXPECT_THAT(checkpoint.error().hint, ::testing::EndsWith("."));
    return checkpoint.error().message;
  }

  std::map<std::string, TensorToWrite> adapter_;
  TemporaryFolder folder_;
};

TEST_F(AdapterTest, FactorsAreAddedAndTheRestIsTheModels) {
  // W + B A alpha / r, with alpha / r = 2.
  EXPECT_THAT(numbers("model.q.weight"), ElementsAre(1 + 2, 2 + 20, 3 + 200, 4 + 4, 5 + 40, 6 + 400));
  const auto checkpoint = open();
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->path, tuned());
  EXPECT_EQ(checkpoint->companions(), base());
  EXPECT_EQ(checkpoint->config["model_type"], "llama");
  EXPECT_THAT(checkpoint->warnings, ElementsAre(HasSubstr("changes 1 tensors of " + base().string())));
  const auto& tensors = checkpoint->tensors->tensors();
  EXPECT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors.at("model.q.weight").type, DataType::packed) << "an export writes it as the type that is asked for";
  EXPECT_TRUE(checkpoint->tensors->raw(tensors.at("model.q.weight")).empty())
      << "the file's numbers are not the model's";
  EXPECT_EQ(checkpoint->tensors->raw(tensors.at("model.o.weight")).size(), 16u) << "what is not changed is as it lies";
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
    EXPECT_EQ(openCheckpoint(tuned() / file)->path, tuned());
  writeText(tuned() / "tokenizer.json", "{}");
  EXPECT_EQ(open()->companions(), tuned()) << "an adapter's own tokenizer is the one it was trained with";
}

TEST_F(AdapterTest, WhatItIsKnownByFollowsFactorsAndScale) {
  const auto hash = [&](const std::string& more) { return *contentHash(*open(more)); };
  const std::string first = hash("");
  EXPECT_NE(first, *contentHash(*openCheckpoint(base())));
  EXPECT_NE(first, hash(R"(, "use_rslora": true)"));
  pair("model.q", {1, 3}, {1, 10, 101}, {2, 1}, {1, 2});
  EXPECT_NE(first, hash(""));
}

TEST_F(AdapterTest, ScalesFollowRankAlphaAndTheirPatterns) {
  pair("model.q", {4, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, {2, 4}, {1, 1, 1, 9, 0, 0, 0, 9});
  const auto added = [&](const std::string& more) { return numbers("model.q.weight", more)[0] - 1; };
  EXPECT_FLOAT_EQ(added(R"(, "rank_pattern": {"q": 4})"), 2.0F / 4);
  EXPECT_FLOAT_EQ(added(R"(, "rank_pattern": {"q": 4}, "use_rslora": true)"), 2.0F / 2);
  EXPECT_FLOAT_EQ(added(R"(, "rank_pattern": {"model.q": 4, "o": 1}, "alpha_pattern": {"^model.q": 32, "el.q": 7})"),
                  32.0F / 4);
  EXPECT_THAT(refusalOf(""), HasSubstr("says rank 1 for \"model.q\", whose factors have rank 4"));
  EXPECT_THAT(refusalOf(R"(, "rank_pattern": {"^q": 4})"), HasSubstr("says rank 1"));
  EXPECT_THAT(refusalOf(R"(, "rank_pattern": {".*q": 4})"), HasSubstr("the expression \".*q\" in rank_pattern"));
  EXPECT_THAT(refusalOf(R"(, "rank_pattern": {"q": 4, "model.q": 2})"), HasSubstr("says two things about \"model.q\""));
  EXPECT_THAT(refusalOf(R"(, "rank_pattern": {"q": 4}, "alpha_pattern": {"q": "2"})"),
              HasSubstr("no number as lora_alpha"));
}

TEST_F(AdapterTest, WeightsMayLieTheOtherWayRound) {
  pair("model.q", {1, 2}, {1, 10}, {3, 1}, {1, 2, 3});  // From 2 to 3 where the weight lies as [2, 3].
  EXPECT_THAT(numbers("model.q.weight"), ElementsAre(1 + 2, 2 + 4, 3 + 6, 4 + 20, 5 + 40, 6 + 60));
  pair("model.o", {1, 2}, {1, 10}, {2, 1}, {1, 2});
  EXPECT_THAT(numbers("model.o.weight"), ElementsAre(1 + 2, 2 + 20, 3 + 4, 4 + 40));
  EXPECT_THAT(numbers("model.o.weight", R"(, "fan_in_fan_out": true)"), ElementsAre(1 + 2, 2 + 4, 3 + 20, 4 + 40));
}

TEST_F(AdapterTest, EmbeddingsAndWholeTensors) {
  adapter_.clear();
  // A table [2 tokens, 3]: A is [rank, tokens], B [3, rank].
  set("model.q.lora_embedding_A", {1, 2}, {1, 10});
  set("model.q.lora_embedding_B", {3, 1}, {1, 2, 3});
  set("model.norm.modules_to_save.weight", {2}, {7, 8});
  EXPECT_THAT(numbers("model.q.weight"), ElementsAre(1 + 2, 2 + 4, 3 + 6, 4 + 20, 5 + 40, 6 + 60));
  EXPECT_THAT(numbers("model.norm.weight"), ElementsAre(7, 8));
  set("model.q.base_layer.weight", {2, 3}, {0, 0, 0, 0, 0, 1});
  EXPECT_THAT(numbers("model.q.weight"), ElementsAre(2, 4, 6, 20, 40, 1 + 60))
      << "a table that stands beside its factors";
  set("model.norm.weight", {3}, {7, 8, 9});
  EXPECT_THAT(refusalOf(""), HasSubstr("\"model.norm.weight\" [3] of F32 whole, but the model's is [2]"));
}

TEST_F(AdapterTest, NamesMayHaveAPartThatTheFileLeavesOut) {
  adapter_.clear();
  pair("transformer.model.q", {1, 3}, {1, 10, 100}, {2, 1}, {1, 2});
  EXPECT_EQ(numbers("model.q.weight")[0], 3);
}

TEST_F(AdapterTest, WhatDoesNotFitIsRefusedByName) {
  const auto refusalWith = [&](const std::string& name, std::vector<std::int64_t> shape, std::vector<float> numbers) {
    const auto before = adapter_;
    set(name, std::move(shape), std::move(numbers));
    const std::string refusal = refusalOf("");
    adapter_ = before;
    return refusal;
  };
  EXPECT_THAT(refusalWith("model.v.lora_A.weight", {1, 3}, {1, 2, 3}),
              HasSubstr("has lora_A.weight for \"model.v\", but no lora_B.weight"));
  EXPECT_THAT(refusalWith("model.o.lora_B.weight", {2, 1}, {1, 2}), HasSubstr("1 tensors lora_A, but 2 lora_B"));
  EXPECT_THAT(refusalWith("model.q.lora_A.weight", {1, 2}, {1, 2}),
              HasSubstr("A [1, 2] and B [2, 1] for \"model.q\", whose weight is [2, 3]"));
  EXPECT_THAT(refusalWith("model.q.lora_A.weight", {2, 3}, {1, 2, 3, 4, 5, 6}), HasSubstr("A [2, 3] and B [2, 1]"));
  EXPECT_THAT(refusalWith("model.q.lora_magnitude_vector", {2}, {1, 2}), HasSubstr("neither lora_A nor lora_B"));
  EXPECT_THAT(refusalWith("model.bias", {2}, {1, 2}),
              HasSubstr("changes \"model.bias\", which the model does not have"));
  pair("model.layers.9.q", {1, 3}, {1, 2, 3}, {2, 1}, {1, 2});
  EXPECT_THAT(refusalOf(""), HasSubstr("changes \"model.layers.9.q\", which the model does not have"));
  adapter_.clear();
  adapter_["q"] = tensorOf("q", {1}, {1});
  EXPECT_THAT(refusalOf(""), HasSubstr("\"q\" does not begin with base_model.model."));
  adapter_.clear();
  EXPECT_THAT(refusalOf(""), HasSubstr("holds no tensors"));
}

TEST_F(AdapterTest, OtherKindsOfAdaptersAreRefused) {
  for (const char* field : {"use_dora", "lora_bias", "use_qalora"})
    EXPECT_THAT(refusalOf(fmt::format(", \"{}\": true", field)), HasSubstr(field));
  EXPECT_THAT(refusalOf(R"(, "layer_replication": [[0, 4]])"), HasSubstr("layer_replication"));
  EXPECT_THAT(refusalOf(R"(, "init_lora_weights": "pissa_niter_4")"), HasSubstr("pissa_niter_4"));
  EXPECT_EQ(
      refusalOf(
          R"(, "use_dora": false, "layer_replication": null, "target_parameters": [], "init_lora_weights": "gaussian")"),
      "accepted");
  writeText(tuned() / "adapter_config.json", R"({"peft_type": "IA3", "base_model_name_or_path": "base"})");
  EXPECT_THAT(openCheckpoint(tuned()).error().message, HasSubstr("peft_type \"IA3\", where LORA is read"));
  writeText(tuned() / "adapter_config.json", "[]");
  EXPECT_THAT(openCheckpoint(tuned()).error().message, HasSubstr("an array instead of an object"));
}

TEST_F(AdapterTest, TheModelIsLookedForWhereItMayBe) {
  const auto placeOf = [&](const std::string& name) {
    const auto place = findBaseModel(tuned(), name, "main");
    return place ? fs::weakly_canonical(*place) : fs::path(place.error().message);
  };
  const fs::path canonical = fs::weakly_canonical(base());
  EXPECT_EQ(placeOf(base().string()), canonical);
  EXPECT_EQ(placeOf("../base"), canonical) << "from the adapter's folder";
  EXPECT_EQ(placeOf("/home/somebody/else/base"), canonical) << "beside it";
  EXPECT_THAT(placeOf("some-org/other").string(),
              HasSubstr("an adapter of the model \"some-org/other\", which is not on this machine"));
  EXPECT_THAT(placeOf("tuned").string(), HasSubstr("not on this machine")) << "an adapter is not its own model";
  EXPECT_THAT(placeOf("").string(), HasSubstr("does not name the model"));

  const fs::path cache = folder_ / "hub", commit = cache / "models--some-org--other/snapshots/abc123";
  fs::create_directories(cache / "models--some-org--other/refs");
  fs::create_directories(commit);
  writeText(cache / "models--some-org--other/refs/main", "abc123");
  ::setenv("HF_HUB_CACHE", cache.c_str(), 1);
  EXPECT_EQ(placeOf("some-org/other"), fs::weakly_canonical(commit));
  EXPECT_EQ(*findBaseModel(tuned(), "some-org/other", "abc123"), commit);
  EXPECT_FALSE(findBaseModel(tuned(), "some-org/other", "dev"));
  EXPECT_FALSE(findBaseModel(tuned(), "some-org/other", "../snapshots/abc123"));
  writeText(cache / "models--some-org--other/refs/main", "../../..");
  EXPECT_FALSE(findBaseModel(tuned(), "some-org/other", "main"));
  EXPECT_FALSE(findBaseModel(tuned(), "some-org/../other", "main"));
  ::unsetenv("HF_HUB_CACHE");

  const auto refusal = refusalOf("", "nobody/nothing");
  EXPECT_THAT(refusal, HasSubstr("\"nobody/nothing\""));
  writeText(base() / "adapter_config.json", "{}");
  EXPECT_EQ(refusalOf(""), "accepted") << "a model may hold an adapter too";
  fs::remove(base() / "model.safetensors");
  EXPECT_THAT(refusalOf(""), HasSubstr("which is an adapter itself"));
}

}  // namespace
}  // namespace kvista
