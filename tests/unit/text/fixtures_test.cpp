// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// The reference ids and texts were made with the `tokenizers` library.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/text/tokenizer.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::uint32_t>;

const fs::path kShared = KVISTA_SHARED_DIR;

std::string contentsOf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string sentence(const auto& result) { return result ? std::string("accepted") : result.error().message; }

class TokenizerFixture : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerFixture, EncodesAndDecodesAsTheReference) {
  const fs::path folder = kShared / "fixtures/tokenizers" / GetParam();
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is missing";
  const auto tokenizer = Tokenizer::fromFile(folder / "tokenizer.json");
  ASSERT_TRUE(tokenizer) << sentence(tokenizer);
  const auto reference = nlohmann::json::parse(contentsOf(folder / "cases.json"));
  for (const auto& expected : reference["cases"]) {
    const auto text = expected["text"].get<std::string>();
    SCOPED_TRACE(expected["text"].dump().substr(0, 200));
    const auto ids = tokenizer->encode(text, false);
    const auto special = tokenizer->encode(text, true);
    ASSERT_TRUE(ids && special) << sentence(ids) << sentence(special);
    EXPECT_EQ(*ids, expected["ids"].get<Ids>());
    EXPECT_EQ(*special, expected["ids_special"].get<Ids>());
    const auto withSpecial = expected["ids_special"].get<Ids>();
    EXPECT_EQ(tokenizer->decode(withSpecial, false).value_or("error"), expected["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer->decode(withSpecial, true).value_or("error"), expected["decoded_skip"].get<std::string>());
  }
  for (const auto& expected : reference["decode_cases"]) {
    const auto ids = expected["ids"].get<Ids>();
    EXPECT_EQ(tokenizer->decode(ids, false).value_or("error"), expected["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer->decode(ids, true).value_or("error"), expected["decoded_skip"].get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerFixture,
                         testing::Values("deepseek", "gemma", "gpt2", "llama2", "llama2-metaspace", "llama3", "neox",
                                         "qwen2", "starcoder"));

TEST(HostileTokenizers, AreRefusedWithTheirOwnSentence) {
  const fs::path folder = kShared / "fixtures/hostile";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is missing";
  std::map<std::string, std::string> sentences;
  for (const auto& entry : nlohmann::json::parse(contentsOf(folder / "expected.json"))) {
    if (entry["category"] != "tokenizer") continue;
    const auto name = entry["path"].get<std::string>();
    SCOPED_TRACE(name);
    const auto tokenizer = Tokenizer::fromFile(folder / name / "tokenizer.json");
    const auto expected = entry["expect"].get<std::string>();
    if (expected != "ok-or-refuse") {
      EXPECT_EQ(tokenizer.has_value(), expected == "ok") << sentence(tokenizer);
    }
    if (tokenizer) {
      const auto ids = tokenizer->encode("the xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", true);
      EXPECT_TRUE(!ids || tokenizer->decode(*ids, false));
      continue;
    }
    EXPECT_THAT(tokenizer.error().message, testing::EndsWith("."));
    EXPECT_THAT(tokenizer.error().message, testing::HasSubstr(name)) << "the sentence names the file";
    sentences[name] = tokenizer.error().message.substr(tokenizer.error().message.find(name) + name.size());
  }
  EXPECT_THAT(sentences["tok-model-unknown"], testing::HasSubstr("\"Quux\" is not supported; supported: BPE, Unigram"));
  EXPECT_THAT(sentences["tok-norm-unknown"], testing::HasSubstr("normalizer"));
  EXPECT_THAT(sentences["tok-decoder-unknown"], testing::HasSubstr("decoder"));
  EXPECT_THAT(sentences["tok-model-missing"], testing::HasSubstr("\"model\" is missing"));
  EXPECT_THAT(sentences["tok-merge-three"], testing::HasSubstr("not a pair of two tokens"));
  EXPECT_THAT(sentences["tok-id-negative"], testing::HasSubstr("-5"));
  EXPECT_THAT(sentences["tok-unigram-unk"], testing::HasSubstr("unk_id"));
  EXPECT_THAT(sentences["tok-charsmap-bad"], testing::HasSubstr("trie of 4278190080 bytes, but 1 bytes follow"));
  EXPECT_THAT(sentences["tok-template-unknown"], testing::HasSubstr("does not define"));
}

TEST(HostileTokenizers, SlowExpressionEndsWithASentence) {
  const fs::path path = kShared / "fixtures/hostile/tok-regex-slow/tokenizer.json";
  if (!fs::exists(path)) GTEST_SKIP() << path << " is missing";
  const auto tokenizer = Tokenizer::fromFile(path);
  ASSERT_TRUE(tokenizer) << sentence(tokenizer);
  const auto ids = tokenizer->encode(std::string(40, 'x') + " y", false);
  ASSERT_FALSE(ids);
  EXPECT_THAT(ids.error().message, testing::HasSubstr("takes too many steps"));
}

TEST(ReferenceModels, TokeniseTheHeldOutBooks) {
  const fs::path text = kShared / "data/heldout_books.txt";
  if (!fs::exists(text)) GTEST_SKIP() << text << " is missing";
  const std::string books = contentsOf(text);
  const auto austen = Tokenizer::fromFile(kShared / "models/austen-mha-30m/tokenizer.json");
  ASSERT_TRUE(austen) << sentence(austen);
  const auto ids = austen->encode(books, false);
  ASSERT_TRUE(ids) << sentence(ids);
  ASSERT_EQ(ids->size(), 300278U);
  EXPECT_EQ(Ids(ids->begin(), ids->begin() + 8), (Ids{3, 348, 5058, 26, 1759, 261, 610, 351}));
  EXPECT_EQ(austen->decode(*ids, false).value_or("error"), books);
  const auto demo = Tokenizer::fromFile(kShared / "models/kvista-demo-7m/tokenizer.json");
  ASSERT_TRUE(demo) << sentence(demo);
  EXPECT_EQ(demo->encode(books, false).value_or(Ids{}).size(), 331163U);
}

}  // namespace
}  // namespace kvista
