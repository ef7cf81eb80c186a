// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/io/temporary_folder.h"

namespace kvista {
namespace {

using test::TemporaryFolder;
using test::writeText;
using ::testing::HasSubstr;

std::string problemOf(std::string_view text, int depth = 64) {
  const auto parsed = parseJson(text, "config.json", depth);
  if (parsed) return "accepted: " + parsed->dump();
  EXPECT_EQ(parsed.error().code, ErrorCode::corruptFile);
  EXPECT_THAT(parsed.error().message, HasSubstr("config.json"));
  EXPECT_THAT(parsed.error().message, ::testing::EndsWith("."));
  return parsed.error().message;
}

TEST(ParseJson, BuildsTheSameTreeAsTheLibrary) {
  const std::string text = R"( {"a": [1, -2, 3.5, 1e-3, true, false, null, "x\u00e9\ud83d\ude00", [], {}],
    "nested": {"b": {"c": [[[]]], "d": 18446744073709551615}}, "": "empty"} )";
  const auto parsed = parseJson(text, "text");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed, nlohmann::json::parse(text));
  EXPECT_TRUE((*parsed)["nested"]["b"]["d"].is_number_unsigned());
  for (const std::string_view scalar : {"1", "\"x\"", "null", "[]"})
    EXPECT_EQ(*parseJson(scalar, "text"), nlohmann::json::parse(scalar));
}

TEST(ParseJson, RefusesKeysThatOccurTwiceInOneObjectOnly) {
  EXPECT_THAT(problemOf(R"({"a": 1, "b": {"hidden_size": 1, "hidden_size": 1}})"), HasSubstr("\"hidden_size\" twice"));
  EXPECT_THAT(problemOf(R"({"a": 1, "\u0061": 2})"), HasSubstr("\"a\" twice"));
  EXPECT_TRUE(parseJson(R"([{"a": 1}, {"a": {"a": 2}}])", "text"));
}

TEST(ParseJson, NamesThePlaceOfAnError) {
  EXPECT_THAT(problemOf("{\n  \"a\": 1,\n  b\n}"), HasSubstr("line 3, column 3"));
  EXPECT_THAT(problemOf("[1"), HasSubstr("unexpected end of input"));
  EXPECT_THAT(problemOf("[1]]"), HasSubstr("column 4"));
}

TEST(ParseJson, RefusesWhatIsNotStrictJson) {
  for (const std::string_view text :
       {"{\"a\": NaN}", "[Infinity]", "[-Infinity]", "[1,]", "{\"a\":1,}", "['a']", "// x\n1", "[01]", "[1.]", "[+1]",
        "{1: 2}", "tru", "\"a\nb\"", "[1e999]", "\"\\q\""})
    EXPECT_THAT(problemOf(text), HasSubstr("is not valid JSON at line 1")) << text;
  EXPECT_THAT(problemOf(""), HasSubstr("is empty"));
  EXPECT_THAT(problemOf(" \n\t "), HasSubstr("is empty"));
}

TEST(ParseJson, RefusesNulInsteadOfTakingItForTheEnd) {
  using namespace std::string_view_literals;
  EXPECT_THAT(problemOf("{}\0garbage"sv), HasSubstr("NUL at line 1, column 3"));
  EXPECT_THAT(problemOf("\0"sv), HasSubstr("NUL"));
}

TEST(ParseJson, RefusesInvalidUnicode) {
  for (const std::string_view text :
       {"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe4\xbd\""})
    EXPECT_THAT(problemOf(text), HasSubstr("UTF-8"));
  for (const std::string_view text : {R"("\ud800")", R"("\ud800x")", R"("\ud800\u0041")", R"("\udc00")"})
    EXPECT_THAT(problemOf(text), HasSubstr("surrogate"));
}

TEST(ParseJson, LimitsDepth) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parseJson(nested(64), "text"));
  EXPECT_THAT(problemOf(nested(65)), HasSubstr("nests deeper than 64 levels"));
  EXPECT_THAT(problemOf(std::string(100'000, '[')), HasSubstr("nests deeper than 64 levels"));
  EXPECT_THAT(problemOf(R"({"a": {"a": {"a": 1}}})", 2), HasSubstr("nests deeper than 2 levels"));
}

TEST(ParseJson, LimitsTheNumberOfValues) {
  std::string text = "[";
  for (int i = 0; i < 8'000'000; ++i) text += "0,";
  EXPECT_THAT(problemOf(text + "0]"), HasSubstr("more than 8000000 values"));
}

TEST(ReadJsonFile, NamesTheFileAndLimitsItsSize) {
  const TemporaryFolder folder;
  const auto file = folder / "config.json";
  writeText(file, R"({"a": [1, 2]})");
  EXPECT_EQ(*readJsonFile(file), nlohmann::json::parse(R"({"a": [1, 2]})"));
  const auto tooLarge = readJsonFile(file, 12);
  ASSERT_FALSE(tooLarge);
  EXPECT_THAT(tooLarge.error().message,
              ::testing::AllOf(HasSubstr(file.string()), HasSubstr("13 bytes"), HasSubstr("12")));
  writeText(file, "{");
  EXPECT_THAT(readJsonFile(file).error().message, HasSubstr(file.string()));
  writeText(file, "");
  EXPECT_THAT(readJsonFile(file).error().message, HasSubstr("is empty"));
  EXPECT_EQ(readJsonFile(folder / "missing.json").error().code, ErrorCode::io);
  EXPECT_THAT(readJsonFile(folder.path()).error().message, HasSubstr("is a folder"));
}

TEST(QuoteForMessage, EscapesAndCuts) {
  EXPECT_EQ(quoteForMessage("a\x1b[31m\n"), R"("a\u001b[31m\n")");
  EXPECT_EQ(quoteForMessage(std::string(300, 'x')), '"' + std::string(200, 'x') + "\"...");
  EXPECT_EQ(quoteForMessage("\xff"), "\"\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace kvista
