// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Small tokenizers made here; the expected ids follow from the rules written beside them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/text/pre_tokenizer.h"
#include "core/text/tokenizer.h"

namespace kvista {
namespace {

using Ids = std::vector<std::uint32_t>;
using nlohmann::json;

Tokenizer made(const json& file) {
  auto tokenizer = Tokenizer::fromJson(file, "test");
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return *std::move(tokenizer);
}

std::string refusal(const json& file) {
  const auto tokenizer = Tokenizer::fromJson(file, "test");
  return tokenizer ? "accepted" : tokenizer.error().message;
}

Ids encoded(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text, false);
  if (!ids) throw std::runtime_error(ids.error().message);
  return *ids;
}

/// Every piece is looked up as a whole: shows what normalisers and pre-tokenizers do.
json wholePieces(const std::vector<std::string>& tokens, json more) {
  json vocabulary = json::object();
  for (std::size_t i = 0; i < tokens.size(); ++i) vocabulary[tokens[i]] = i + 1;
  vocabulary["?"] = 0;
  json file = {{"model",
                {{"type", "BPE"},
                 {"vocab", vocabulary},
                 {"merges", json::array()},
                 {"ignore_merges", true},
                 {"unk_token", "?"},
                 {"fuse_unk", true}}}};
  file.update(more);
  return file;
}

json unigram(const json& more = json::object()) {
  json file = {{"model",
                {{"type", "Unigram"},
                 {"unk_id", 0},
                 {"vocab", json::array({json::array({"<unk>", 0.0}), json::array({"a", -1.0}), json::array({"b", -1.0}),
                                        json::array({"ab", -1.5}), json::array({"abc", -9.0}), json::array({"c", -1.0}),
                                        json::array({"<0xC3>", -9.0}), json::array({"<0xA9>", -9.0})})}}}};
  file.update(more, true);
  return file;
}

TEST(Unigram, TakesTheBestSumOfScores) {
  const auto tokenizer = made(unigram());
  EXPECT_EQ(encoded(tokenizer, "abc"), (Ids{3, 5}));  // -1.5 - 1 beats -9 and -3.
  EXPECT_EQ(encoded(tokenizer, "axyzb"), (Ids{1, 0, 2})) << "unknown neighbours are one token";
}

TEST(Unigram, FallsBackToBytesOnlyWhenAllAreThere) {
  const auto tokenizer = made(unigram({{"model", {{"byte_fallback", true}}}}));
  EXPECT_EQ(encoded(tokenizer, "aé"), (Ids{1, 6, 7}));
  EXPECT_EQ(encoded(tokenizer, "aè"), (Ids{1, 0}));
}

TEST(Unigram, UnknownCharacterWithoutUnknownIdIsAnError) {
  auto file = unigram();
  file["model"].erase("unk_id");
  const auto ids = made(file).encode("x", false);
  ASSERT_FALSE(ids);
  EXPECT_THAT(ids.error().message, testing::HasSubstr("no unk_id"));
}

TEST(Bpe, MergesByRankThenFromTheLeft) {
  const auto tokenizer = made({{"model",
                                {{"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"ba", 3}, {"aba", 4}, {"aa", 5}}},
                                 {"merges", {"b a", "a b", "ab a", "a a"}}}}});
  EXPECT_EQ(encoded(tokenizer, "ab"), (Ids{2}));
  EXPECT_EQ(encoded(tokenizer, "aba"), (Ids{0, 3})) << "'b a' has the lower rank";
  EXPECT_EQ(encoded(tokenizer, "aaa"), (Ids{5, 0}));
}

TEST(Bpe, UnknownBytesAndUnknownTokens) {
  json model = {{"type", "BPE"},
                {"vocab", {{"<unk>", 0}, {"a", 1}, {"<0xC3>", 2}, {"<0xA9>", 3}}},
                {"merges", json::array()},
                {"unk_token", "<unk>"},
                {"byte_fallback", true}};
  EXPECT_EQ(encoded(made({{"model", model}}), "aéxya"), (Ids{1, 2, 3, 0, 0, 1}));
  model["fuse_unk"] = true;
  EXPECT_EQ(encoded(made({{"model", model}}), "aéxya"), (Ids{1, 2, 3, 0, 1}));
  model.erase("unk_token");
  EXPECT_EQ(encoded(made({{"model", model}}), "axa"), (Ids{1, 1})) << "without an unknown token it is left out";
}

TEST(Bpe, SubwordPrefixAndWordSuffix) {
  const auto tokenizer = made({{"model",
                                {{"type", "BPE"},
                                 {"continuing_subword_prefix", "#"},
                                 {"end_of_word_suffix", "$"},
                                 {"vocab", {{"a", 0}, {"#b", 1}, {"#b$", 2}, {"ab", 3}, {"ab$", 4}, {"a$", 5}}},
                                 {"merges", json::array({json::array({"a", "#b"}), json::array({"a", "#b$"})})}}}});
  EXPECT_EQ(encoded(tokenizer, "a"), (Ids{5}));
  EXPECT_EQ(encoded(tokenizer, "ab"), (Ids{4}));
  EXPECT_EQ(encoded(tokenizer, "abb"), (Ids{3, 2}));
}

TEST(Bpe, LongTextWithoutPlacesToSplitIsFast) {
  json vocabulary = {{"a", 0}};
  json merges = json::array();
  std::string token = "a";
  for (std::uint32_t id = 1; id <= 6; ++id) {
    merges.push_back({token, token});
    token += token;
    vocabulary[token] = id;
  }
  const auto tokenizer = made({{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}});
  const auto ids = encoded(tokenizer, std::string(1 << 20, 'a'));
  EXPECT_EQ(ids, Ids((1 << 20) / 64, 6));
}

TEST(Bpe, RefusesWhatItCannotDo) {
  const auto model = [](json more) {
    json fields = {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}}}, {"merges", json::array()}};
    fields.update(more);
    return refusal({{"model", fields}});
  };
  EXPECT_THAT(model({{"dropout", 0.1}}), testing::HasSubstr("\"dropout\" is 0.1"));
  EXPECT_THAT(model({{"merges", json::array({"a b"})}}), testing::HasSubstr("merge 0 needs the token \"ab\""));
  EXPECT_THAT(model({{"merges", json::array({"ab"})}}), testing::HasSubstr("merge 0 is not a pair"));
  EXPECT_THAT(model({{"vocab", {{"a", 4294967296}}}}), testing::HasSubstr("4294967296"));
  EXPECT_THAT(model({{"type", "WordPiece"}}),
              testing::HasSubstr("type \"WordPiece\" is not supported; supported: BPE, Unigram."));
}

TEST(AddedTokens, StripSingleWordsAndTakeTheLongest) {
  const auto token = [](const char* content, json more) {
    json result = {{"id", 0}, {"content", content}, {"normalized", false}, {"special", false}};
    if (!more.is_null()) result.update(more);
    return result;
  };
  const auto tokenizer =
      made(wholePieces({"a", "b", " ", "x"}, {{"added_tokens",
                                               {token("<m>", {{"lstrip", true}, {"rstrip", true}}), token("<m>>", {}),
                                                token("w", {{"single_word", true}})}}}));
  EXPECT_EQ(encoded(tokenizer, "a  <m> b"), (Ids{1, 5, 2}));
  EXPECT_EQ(encoded(tokenizer, "a<m>>b"), (Ids{1, 6, 2}));
  EXPECT_EQ(encoded(tokenizer, "w"), (Ids{7}));
  EXPECT_EQ(encoded(tokenizer, "a w"), (Ids{1, 3, 7}));
  EXPECT_EQ(encoded(tokenizer, "wé"), (Ids{0})) << "inside of a word it is text";
  EXPECT_EQ(tokenizer.vocabularySize(), 8U);
}

TEST(AddedTokens, NormalizedOnesAreFoundInNormalizedText) {
  const auto tokenizer = made(wholePieces(
      {"a", "b"},
      {{"normalizer", {{"type", "Lowercase"}}},
       {"added_tokens", json::array({{{"id", 3}, {"content", "Day"}, {"normalized", true}, {"special", false}}})}}));
  EXPECT_EQ(encoded(tokenizer, "ADAYb"), (Ids{1, 3, 2}));
}

TEST(Normalizers, DoWhatTheyAreNamedAfter) {
  const auto normalized = [](json normalizer, std::string_view text, const std::string& expected) {
    const auto tokenizer = made(wholePieces({expected}, {{"normalizer", normalizer}}));
    return encoded(tokenizer, text) == Ids{1};
  };
  EXPECT_TRUE(normalized({{"type", "NFC"}}, "e\u0301", "\u00E9"));
  EXPECT_TRUE(normalized({{"type", "NFD"}}, "\u00E9", "e\u0301"));
  EXPECT_TRUE(normalized({{"type", "NFKC"}}, "\uFB01\u2460", "fi1"));
  EXPECT_TRUE(normalized({{"type", "NFKD"}}, "\u1E9B\u0323", "s\u0323\u0307"));
  EXPECT_TRUE(normalized({{"type", "NFC"}}, "\uAC01\u1112\u1161\u11AB", "\uAC01\uD55C"));
  EXPECT_TRUE(normalized({{"type", "Lowercase"}}, "\u00C4\u0130\u03A3", "\u00E4i\u0307\u03C3"));
  EXPECT_TRUE(normalized({{"type", "Strip"}, {"strip_left", true}, {"strip_right", false}}, "\u3000a ", "a "));
  EXPECT_TRUE(normalized(
      {{"type", "Sequence"}, {"normalizers", json::array({json{{"type", "NFD"}}, json{{"type", "StripAccents"}}})}},
      "\u00E9", "e"));
  EXPECT_TRUE(normalized({{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", "_"}}, "a   b", "a_b"));
  EXPECT_TRUE(normalized({{"type", "Replace"}, {"pattern", {{"String", "."}}}, {"content", ""}}, "a.b", "ab"));
  EXPECT_TRUE(normalized({{"type", "Prepend"}, {"prepend", "_"}}, "a", "_a"));
  EXPECT_TRUE(normalized({{"type", "Nmt"}}, "a\tb\x01", "a b"));
}

TEST(Normalizers, OrderManyMarksQuickly) {
  std::string text = "a";
  for (int i = 0; i < 200'000; ++i) text += "\u0301\u0323";
  const auto tokenizer = made(wholePieces({"b"}, {{"normalizer", {{"type", "NFC"}}}}));
  EXPECT_EQ(encoded(tokenizer, text), (Ids{0}));
}

TEST(PreTokenizers, SplitInEveryWay) {
  const auto pieces = [](json preTokenizer, std::string_view text, const std::vector<std::string>& expected) {
    const auto tokenizer = made(wholePieces(expected, {{"pre_tokenizer", preTokenizer}}));
    Ids ids(expected.size());
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::uint32_t>(i + 1);
    return encoded(tokenizer, text) == ids;
  };
  const auto split = [](const char* behavior, bool invert = false) {
    return json{{"type", "Split"}, {"pattern", {{"Regex", "-"}}}, {"behavior", behavior}, {"invert", invert}};
  };
  EXPECT_TRUE(pieces(split("Removed"), "a--b-", {"a", "b"}));
  EXPECT_TRUE(pieces(split("MergedWithPrevious"), "a--b-", {"a-", "-", "b-"}));
  EXPECT_TRUE(pieces(split("MergedWithNext"), "a--b-", {"a", "-", "-b", "-"}) == false)
      << "\"-\" comes twice, so ids repeat";
  EXPECT_TRUE(pieces(split("MergedWithNext"), "a--b", {"a", "-", "-b"}));
  EXPECT_TRUE(pieces(split("Contiguous"), "a--b", {"a", "--", "b"}));
  EXPECT_TRUE(pieces(split("Removed", true), "a--", {"-"}) == false);
  EXPECT_TRUE(pieces(split("Removed", true), "a-b", {"-"}));
  EXPECT_TRUE(pieces({{"type", "Digits"}, {"individual_digits", true}}, "a12", {"a", "1", "2"}));
  EXPECT_TRUE(pieces({{"type", "Digits"}, {"individual_digits", false}}, "a12b", {"a", "12", "b"}));
  EXPECT_TRUE(pieces({{"type", "WhitespaceSplit"}}, "a!  b", {"a!", "b"}));
  EXPECT_TRUE(pieces({{"type", "Whitespace"}}, "a_1!?  b", {"a_1", "!?", "b"}));
  EXPECT_TRUE(pieces({{"type", "Punctuation"}}, "a.\u00BFb", {"a", ".", "\u00BF", "b"}));
  EXPECT_TRUE(pieces({{"type", "BertPreTokenizer"}}, "a, b", {"a", ",", "b"}));
  EXPECT_TRUE(pieces({{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "always"}}, "a b",
                     {"\u2581"
                      "a",
                      "\u2581"
                      "b"}));
  EXPECT_TRUE(pieces({{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "never"}, {"split", false}},
                     "a b", {"a_b"}));
  EXPECT_TRUE(pieces({{"type", "ByteLevel"}, {"add_prefix_space", true}}, "a's \u00E9",
                     {"\u0120"
                      "a",
                      "'s", "\u0120\u00C3\u00A9"}));
}

TEST(PreTokenizers, CutALongTextInPartsAsAtOnce) {
  std::string text;
  for (int i = 0; i < 40'000; ++i)
    text += i % 7 == 0 ? "it's  " : i % 5 == 0 ? "\n\n\u00e9t\u00e9, 12" : i % 3 == 0 ? " -a- " : " word";
  const json words = {{"type", "Split"}, {"pattern", {{"Regex", "\\s+(?!\\S)|\\S+|\\s+"}}}, {"behavior", "Isolated"}};
  const auto dashes = [](const char* behavior) {
    return json{{"type", "Split"}, {"pattern", {{"Regex", "\\s|-"}}}, {"behavior", behavior}};
  };
  const json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  struct Case {
    json preTokenizer;
    bool goesInParts;
  };
  for (const Case& one :
       {Case{{{"type", "ByteLevel"}}, true}, Case{{{"type", "Sequence"}, {"pretokenizers", {words, bytes}}}, true},
        Case{{{"type", "Whitespace"}}, true}, Case{{{"type", "Metaspace"}}, true}, Case{dashes("Removed"), true},
        Case{dashes("Contiguous"), false}}) {
    const auto preTokenizer = PreTokenizer::read(one.preTokenizer, "test").value();
    const auto piecesOf = [](const TextPieces& pieces, std::vector<std::string>& all) {
      for (std::size_t i = 0; i < pieces.pieces.size(); ++i)
        all.push_back(std::string(pieces[i]) + (pieces.pieces[i].atStart ? "^" : ""));
    };
    const auto whole = [&] { return TextPieces{text, {{0, text.size(), true}}}; };
    std::vector<std::string> atOnce, inParts;
    TextPieces pieces = whole();
    ASSERT_TRUE(preTokenizer->apply(pieces));
    piecesOf(pieces, atOnce);
    std::vector<std::size_t> ends;
    pieces = whole();
    ASSERT_TRUE(preTokenizer->applyInParts(pieces, [&](const TextPieces& part, std::size_t end) -> Result<void> {
      piecesOf(part, inParts);
      ends.push_back(end);
      return {};
    }));
    EXPECT_TRUE(inParts == atOnce) << one.preTokenizer;
    EXPECT_EQ(ends.size() > 1, one.goesInParts) << one.preTokenizer;
    EXPECT_EQ(ends.back(), pieces.text.size()) << one.preTokenizer;
    EXPECT_TRUE(std::ranges::is_sorted(ends));
  }
}

TEST(Tokenizer, TellsHowFarItIsAndStops) {
  std::string text;
  while (text.size() < (1U << 20)) text += "some words ";
  const auto tokenizer = made(wholePieces({"some", "words"}, {{"pre_tokenizer", {{"type", "WhitespaceSplit"}}}}));
  const auto inParts = made(wholePieces({"some", "words"}, {{"pre_tokenizer", {{"type", "Whitespace"}}}}));
  std::vector<std::size_t> heard;
  const auto ids = inParts.encode(text, false, [&](std::size_t bytes) -> Result<void> {
    heard.push_back(bytes);
    return {};
  });
  ASSERT_TRUE(ids);
  EXPECT_TRUE(*ids == encoded(tokenizer, text));
  EXPECT_GT(heard.size(), 2U);
  EXPECT_EQ(heard.back(), text.size());
  const auto stopped =
      inParts.encode(text, false, [](std::size_t) -> Result<void> { return fail(ErrorCode::cancelled, "Enough."); });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().message, "Enough.");
}

TEST(PostProcessors, PutSpecialTokensAroundTheText) {
  const auto special = [](json postProcessor) {
    return made(wholePieces({"a"}, {{"post_processor", postProcessor}})).encode("a", true).value_or(Ids{});
  };
  EXPECT_EQ(special({{"type", "BertProcessing"}, {"sep", {"s", 8}}, {"cls", {"c", 9}}}), (Ids{9, 1, 8}));
  EXPECT_EQ(special({{"type", "RobertaProcessing"}, {"sep", {"s", 8}}, {"cls", {"c", 9}}}), (Ids{9, 1, 8}));
  const json unit = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "b"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
      {"pair", json::array()},
      {"special_tokens", {{"b", {{"id", "b"}, {"ids", {5, 6}}, {"tokens", {"b", "b"}}}}}}};
  EXPECT_EQ(special(unit), (Ids{5, 6, 1}));
  EXPECT_EQ(special({{"type", "Sequence"}, {"processors", json::array({json{{"type", "ByteLevel"}}, unit})}}),
            (Ids{5, 6, 1}));
}

TEST(Decoders, TurnTokensIntoText) {
  const auto decoded = [](json decoder, const std::vector<std::string>& tokens) {
    const auto tokenizer = made(wholePieces(tokens, {{"decoder", decoder}}));
    Ids ids(tokens.size());
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::uint32_t>(i + 1);
    return tokenizer.decode(ids, false).value_or("error");
  };
  EXPECT_EQ(decoded(nullptr, {"a", "b"}), "a b") << "without a decoder tokens are words";
  EXPECT_EQ(decoded({{"type", "ByteFallback"}}, {"<0xE4>", "<0xBD>", "<0xA0>"}), "\u4F60");
  EXPECT_EQ(decoded({{"type", "ByteFallback"}}, {"<0xE4>", "<0xBD>", "x", "<0x41>"}), "\uFFFD\uFFFDxA");
  EXPECT_EQ(decoded({{"type", "ByteLevel"}}, {"\u00E4\u00BD", "\u0120z"}), "\uFFFD z")
      << "one U+FFFD for a cut-off sequence";
  EXPECT_EQ(decoded({{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "always"}}, {"_a", "_b_"}),
            "a b ");
  EXPECT_EQ(decoded({{"type", "Strip"}, {"content", "-"}, {"start", 1}, {"stop", 2}}, {"--a---", "-"}), "-a-");
  EXPECT_EQ(decoded({{"type", "BPEDecoder"}, {"suffix", "$"}}, {"a", "b$", "c$"}), "ab c");
  EXPECT_EQ(decoded({{"type", "Sequence"},
                     {"decoders", json::array({json{{"type", "Fuse"}},
                                               json{{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}})}},
                    {" a", " b"}),
            "a b");
  const auto tokenizer = made(wholePieces({"a"}, json::object()));
  EXPECT_EQ(tokenizer.decode({1, 4000000000U}, false).value_or("error"), "a")
      << "ids outside of the vocabulary are left out";
}

TEST(Tokenizer, NamesWhatItDoesNotSupport) {
  EXPECT_THAT(
      refusal(wholePieces({}, {{"normalizer", {{"type", "BertNormalizer"}}}})),
      testing::HasSubstr("test: normalizer: type \"BertNormalizer\" is not supported; supported: Sequence, NFC"));
  EXPECT_THAT(refusal(wholePieces(
                  {}, {{"pre_tokenizer",
                        {{"type", "Sequence"}, {"pretokenizers", json::array({json{{"type", "UnicodeScripts"}}})}}}})),
              testing::HasSubstr("test: pre_tokenizer[0]: type \"UnicodeScripts\""));
  EXPECT_THAT(refusal(wholePieces({}, {{"decoder", {{"type", "WordPiece"}}}})),
              testing::HasSubstr("decoder: type \"WordPiece\""));
  EXPECT_THAT(refusal(wholePieces({}, {{"post_processor", {{"type", "Other"}}}})),
              testing::HasSubstr("post_processor: type \"Other\""));
  EXPECT_THAT(refusal(wholePieces({}, {{"normalizer", {{"type", 7}}}})),
              testing::HasSubstr("\"type\" is number; a string is expected"));
  json nested = {{"type", "NFC"}};
  for (int i = 0; i < 50; ++i) nested = {{"type", "Sequence"}, {"normalizers", json::array({nested})}};
  EXPECT_THAT(refusal(wholePieces({}, {{"normalizer", nested}})), testing::HasSubstr("nested deeper"));
}

TEST(Tokenizer, TextMustBeUtf8) {
  const auto tokenizer = made(wholePieces({"a"}, json::object()));
  for (const std::string text : {"a\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "a\xE4\xBD"}) {
    const auto ids = tokenizer.encode(text, false);
    ASSERT_FALSE(ids);
    EXPECT_EQ(ids.error().code, ErrorCode::invalidArgument);
    EXPECT_THAT(ids.error().message, testing::HasSubstr("not UTF-8 at byte"));
  }
  EXPECT_EQ(encoded(tokenizer, ""), Ids{});
}

TEST(Tokenizer, HugeIdsNeedNoTables) {
  const auto tokenizer =
      made({{"model", {{"type", "BPE"}, {"vocab", {{"a", 4294967295U}}}, {"merges", json::array()}}}});
  EXPECT_EQ(encoded(tokenizer, "aa"), (Ids{4294967295U, 4294967295U}));
  EXPECT_EQ(tokenizer.vocabularySize(), std::size_t{1} << 32);
  EXPECT_EQ(tokenizer.decode({4294967295U}, false).value_or("error"), "a");
}

TEST(Precompiled, RefusesDamagedMaps) {
  const auto map = [](const char* base64) {
    return refusal(wholePieces({}, {{"normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", base64}}}}));
  };
  EXPECT_THAT(map("!!!!"), testing::HasSubstr("is not base64"));
  EXPECT_THAT(map(""), testing::HasSubstr("holds 0 bytes"));
  EXPECT_THAT(map("/////w=="), testing::HasSubstr("announces a trie of 4294967295 bytes"));
  EXPECT_THAT(map("BAAAAAAAAAD/"), testing::HasSubstr("not UTF-8"));
  // One unit whose children lie outside of the trie.
  const auto tokenizer =
      made(wholePieces({"a"}, {{"normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "BAAAAAAA8P8="}}}}));
  const auto ids = tokenizer.encode("a", false);
  ASSERT_FALSE(ids);
  EXPECT_THAT(ids.error().message, testing::HasSubstr("points outside of its own 1 units"));
}

}  // namespace
}  // namespace kvista
