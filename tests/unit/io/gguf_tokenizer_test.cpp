// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/io/gguf.h"
#include "tests/unit/io/gguf_builder.h"

namespace kvista {
namespace {

using nlohmann::json;
using test::GgufBuilder;
using test::TemporaryGguf;
using test::tinyModel;
using ::testing::HasSubstr;

GgufBuilder byteLevel(std::string_view pre) {
  return tinyModel()
      .text("tokenizer.ggml.model", "gpt2")
      .text("tokenizer.ggml.pre", pre)
      .texts("tokenizer.ggml.tokens", {"a", "b", "ab", "<s>", "<mine>"})
      .numbers<std::int32_t>("tokenizer.ggml.token_type", GgufType::i32, {1, 1, 1, 3, 4})
      .texts("tokenizer.ggml.merges", {"a b"});
}

GgufBuilder sentencePiece() {
  return tinyModel()
      .text("tokenizer.ggml.model", "llama")
      .texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "<0x0A>", "a", "b", "ab", "\u2581", "\u2581ab", "bb"})
      .numbers<float>("tokenizer.ggml.scores", GgufType::f32, {0, 0, 0, 0, -10, -11, -1, -12, 0, -2})
      .numbers<std::int32_t>("tokenizer.ggml.token_type", GgufType::i32, {2, 3, 3, 6, 1, 1, 1, 1, 1, 1})
      .integer("tokenizer.ggml.bos_token_id", 1)
      .integer("tokenizer.ggml.eos_token_id", 2);
}

GgufTokenizer read(const GgufBuilder& builder) {
  const TemporaryGguf file(builder);
  auto tokenizer = readGgufTokenizer(file.path());
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return tokenizer ? *std::move(tokenizer) : GgufTokenizer{};
}

std::string readError(const GgufBuilder& builder) {
  const TemporaryGguf file(builder);
  const auto tokenizer = readGgufTokenizer(file.path());
  EXPECT_FALSE(tokenizer);
  return tokenizer ? std::string() : tokenizer.error().message;
}

TEST(GgufTokenizer, ByteLevelVocabulary) {
  const json out = read(byteLevel("smollm")).tokenizer;
  EXPECT_EQ(out["model"]["type"], "BPE");
  EXPECT_EQ(out["model"]["vocab"]["ab"], 2);
  EXPECT_EQ(out["model"]["merges"], json::array({"a b"}));
  ASSERT_EQ(out["added_tokens"].size(), 2u);
  EXPECT_EQ(out["added_tokens"][0]["special"], true);
  EXPECT_EQ(out["added_tokens"][1]["content"], "<mine>");
  EXPECT_EQ(out["added_tokens"][1]["special"], false);
  EXPECT_EQ(out["pre_tokenizer"]["pretokenizers"][0]["type"], "Digits");
  EXPECT_EQ(out["pre_tokenizer"]["pretokenizers"][1]["use_regex"], true);
  EXPECT_TRUE(out["post_processor"].is_null());
  EXPECT_TRUE(out["normalizer"].is_null());
}

TEST(GgufTokenizer, PreTokenizersAreThoseOfTheModelsOwnFiles) {
  const std::string fixtures = std::string(KVISTA_SHARED_DIR) + "/fixtures/tokenizers/";
  if (!std::filesystem::exists(fixtures)) GTEST_SKIP() << fixtures << " is missing";
  for (const auto& [pre, folder] : {std::pair{"llama-bpe", "llama3"}, std::pair{"qwen2", "qwen2"},
                                    std::pair{"starcoder", "starcoder"}, std::pair{"deepseek-v3", "deepseek"}}) {
    std::ifstream file(fixtures + folder + "/tokenizer.json");
    const json original = json::parse(file);
    const json ours = read(byteLevel(pre)).tokenizer;
    EXPECT_EQ(ours["pre_tokenizer"], original["pre_tokenizer"]) << pre;
    EXPECT_EQ(ours["model"]["ignore_merges"], original["model"]["ignore_merges"]) << pre;
  }
}

TEST(GgufTokenizer, UnknownPreTokenizerIsNamedWithThoseThatAreKnown) {
  EXPECT_THAT(readError(byteLevel("martian")),
              HasSubstr("the pre-tokenizer 'martian' (metadata key 'tokenizer.ggml.pre') is not supported; supported: "
                        "default, gpt-2,"));
}

TEST(GgufTokenizer, BosAndEosBecomeATemplate) {
  const auto out = read(byteLevel("qwen2")
                            .integer("tokenizer.ggml.bos_token_id", 3)
                            .integer("tokenizer.ggml.eos_token_id", 4)
                            .boolean("tokenizer.ggml.add_bos_token", true)
                            .text("tokenizer.chat_template", "{{ x }}"));
  const json& single = out.tokenizer["post_processor"]["single"];
  ASSERT_EQ(single.size(), 2u);
  EXPECT_EQ(single[0]["SpecialToken"]["id"], "<s>");
  EXPECT_EQ(out.tokenizer["post_processor"]["special_tokens"]["<s>"]["ids"], json::array({3}));
  EXPECT_EQ(out.tokenizer["post_processor"]["pair"].size(), 4u);
  EXPECT_EQ(out.tokenizerConfig["bos_token"], "<s>");
  EXPECT_EQ(out.tokenizerConfig["chat_template"], "{{ x }}");
  EXPECT_THAT(readError(byteLevel("qwen2").integer("tokenizer.ggml.bos_token_id", 5)),
              HasSubstr("is 5, but there are 5 tokens"));
}

TEST(GgufTokenizer, SentencePieceMergesFollowScores) {
  const json out = read(sentencePiece()).tokenizer;
  // "▁ab" scores 0, "ab" -1, "bb" -2. "▁ab" is "▁" and "ab" only, since "▁a" is no token.
  EXPECT_EQ(out["model"]["merges"], json::array({"\u2581 ab", "a b", "b b"}));
  EXPECT_EQ(out["model"]["byte_fallback"], true);
  EXPECT_EQ(out["model"]["unk_token"], "<unk>");
  EXPECT_EQ(out["normalizer"]["normalizers"][0]["type"], "Prepend");
  EXPECT_EQ(out["decoder"]["decoders"].size(), 4u);
  EXPECT_EQ(out["post_processor"]["single"][0]["SpecialToken"]["id"], "<s>");
  const json bare = read(sentencePiece().boolean("tokenizer.ggml.add_space_prefix", false)).tokenizer;
  EXPECT_EQ(bare["normalizer"]["normalizers"].size(), 1u);
  EXPECT_EQ(bare["decoder"]["decoders"].size(), 3u);
}

TEST(GgufTokenizer, HostileVocabularies) {
  EXPECT_TRUE(read(tinyModel()).tokenizer.is_null());
  EXPECT_THAT(readError(tinyModel().text("tokenizer.ggml.model", "t5")), HasSubstr("kind 't5'"));
  EXPECT_THAT(readError(tinyModel().text("tokenizer.ggml.model", "gpt2")),
              HasSubstr("'tokenizer.ggml.tokens' is missing"));
  const auto start = [] { return tinyModel().text("tokenizer.ggml.model", "llama"); };
  EXPECT_THAT(readError(start().texts("tokenizer.ggml.tokens", {"a", "a"})),
              HasSubstr("tokens 0 and 1 are the same: 'a'"));
  EXPECT_THAT(readError(start().texts("tokenizer.ggml.tokens", {"\xff"})), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(readError(start().texts("tokenizer.ggml.tokens", {"a"})), HasSubstr("has 0 entries for 1 tokens"));
  EXPECT_THAT(readError(start()
                            .texts("tokenizer.ggml.tokens", {"a"})
                            .numbers<std::int32_t>("tokenizer.ggml.token_type", GgufType::i32, {9})),
              HasSubstr("token 0 has type 9"));
}

}  // namespace
}  // namespace kvista
