// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvista {
namespace {

/// Matches and gaps of `text`, empty ones left out: what Split with "Isolated" gives.
std::vector<std::string> isolated(std::string_view pattern, std::string_view text) {
  const auto regex = Regex::compile(pattern, "test");
  if (!regex) return {"refused: " + regex.error().message};
  std::vector<Section> sections;
  if (const auto found = regex->search(text, sections); !found) return {"failed: " + found.error().message};
  std::vector<std::string> pieces;
  for (const auto& section : sections) {
    if (section.begin < section.end) pieces.emplace_back(text.substr(section.begin, section.end - section.begin));
  }
  return pieces;
}

struct Case {
  const char* pattern;
  std::string text;
  std::vector<std::string> pieces;
};

/// Each line was compared with Oniguruma.
TEST(Regex, ReadsOnigurumaSyntax) {
  const std::vector<Case> cases = {
      {R"(\h+)", "abcfg12", {"abcf", "g", "12"}},
      {R"((?i:s))", "a\u017FbS", {"a", "\u017F", "b", "S"}},
      {R"((?i:k))", "a\u212Ab", {"a", "\u212A", "b"}},
      {R"(x*)", "axxb", {"a", "xx", "b"}},
      {R"(\s+)", "a\x1C\u0085\x0B\u180E\u200Bb", {"a\x1C", "\u0085\x0B", "\u180E\u200Bb"}},
      {R"(\p{Han}+)", "a你。b", {"a", "你", "。b"}},
      {R"([a-z&&[^aeiou]]+)", "abcde", {"a", "bcd", "e"}},
      {R"([^\S\r\n])", "a \n", {"a", " ", "\n"}},
      {R"([[:alpha:]]+)", "abé1", {"abé", "1"}},
      {R"([[:punct:]]+)", "a!+$«", {"a", "!+$«"}},
      {R"(\p{Punct}+)", "a!+«", {"a", "!", "+", "«"}},
      {R"(\w+)", "a_é1\u0301\u200D b", {"a_é1\u0301", "\u200D ", "b"}},
      {R"(\d+)", "1२b", {"1२", "b"}},
      {R"(\p{^L})", "a1", {"a", "1"}},
      {R"(\p{Letter})", "1a", {"1", "a"}},
      {R"(a{2}+)", "aaaaa", {"aaaa", "a"}},
      {R"(a{,2})", "aaaa", {"aa", "aa"}},
      {R"(.)", "a\nb", {"a", "\n", "b"}},
      {R"(.+)", "ab\ncd", {"ab", "\n", "cd"}},
      {R"((?m:.+))", "ab\ncd", {"ab\ncd"}},
      {R"(^a)", "a\na", {"a", "\n", "a"}},
      {R"(\R)", "a\r\nb", {"a", "\r\n", "b"}},
      {R"((?<n>a)\k<n>)", "aab", {"aa", "b"}},
      {R"((a)\1)", "aab", {"aa", "b"}},
      {R"(a(?i)b|c)", "aBC", {"aB", "C"}},
      {R"((?x) a b # two)", "ab", {"ab"}},
      {R"([]a])", "a]b", {"a", "]", "b"}},
      {R"([a[b]])", "a[b", {"a", "[", "b"}},
      {R"(\b)", "ab c", {"ab", " ", "c"}},
      {R"(\pL)", "apL", {"a", "pL"}},
      {R"(\x{1F600}|\u0041)", "A😀", {"A", "😀"}},
      {R"((?>a+)b)", "aab", {"aab"}},
      {R"(\p{N}{1,3})", "12345", {"123", "45"}},
  };
  for (const Case& expected : cases) {
    SCOPED_TRACE(expected.pattern);
    EXPECT_EQ(isolated(expected.pattern, expected.text), expected.pieces);
  }
}

TEST(Regex, RefusesByName) {
  const auto refusal = [](std::string_view pattern) { return isolated(pattern, "a").at(0); };
  EXPECT_THAT(refusal("(?<a[b"), testing::HasSubstr("group name"));
  EXPECT_THAT(refusal("(a"), testing::HasSubstr("not closed"));
  EXPECT_THAT(refusal("a)"), testing::HasSubstr("unmatched )"));
  EXPECT_THAT(refusal("[a"), testing::HasSubstr("not closed"));
  EXPECT_THAT(refusal("*a"), testing::HasSubstr("nothing to repeat"));
  EXPECT_THAT(refusal("\\p{Nonsense}"), testing::HasSubstr("character property \"Nonsense\" is not supported"));
  EXPECT_THAT(refusal("(?s:.)"), testing::HasSubstr("is not supported"));
  EXPECT_THAT(refusal("\\g<a>"), testing::HasSubstr("\\g is not supported"));
  EXPECT_THAT(refusal(std::string(5000, '(')), testing::HasSubstr("nested too deeply"));
  EXPECT_THAT(refusal(std::string(100'000, 'a')), testing::HasSubstr("at most"));
}

TEST(Regex, SectionsCoverTheText) {
  const auto regex = Regex::compile("b+|(?=d)", "test");
  ASSERT_TRUE(regex);
  std::vector<Section> sections;
  ASSERT_TRUE(regex->search("abbcd", sections));
  std::size_t covered = 0;
  for (const auto& section : sections) {
    EXPECT_EQ(section.begin, covered);
    covered = section.end;
  }
  EXPECT_EQ(covered, 5U);
}

TEST(Regex, FindsInPartsWhatItFindsAtOnce) {
  for (const char* pattern : {"b+|(?=d)", "(?<=a)b|\\s+(?!\\S)|\\s+", "x*"}) {
    const auto regex = Regex::compile(pattern, "test");
    ASSERT_TRUE(regex);
    for (const std::string& text : {std::string("abbcd ab  xxé \n\n xd"), std::string("b"), std::string()}) {
      std::vector<Section> whole, some, together;
      ASSERT_TRUE(regex->search(text, whole));
      for (Regex::Place place; !place.isAtEnd;) {
        ASSERT_TRUE(regex->searchOn(text, place, 1, some));
        EXPECT_LE(some.size(), 3U);
        together.insert(together.end(), some.begin(), some.end());
      }
      ASSERT_EQ(together.size(), whole.size()) << pattern << " in " << text;
      for (std::size_t i = 0; i < whole.size(); ++i) {
        EXPECT_EQ(together[i].begin, whole[i].begin);
        EXPECT_EQ(together[i].end, whole[i].end);
        EXPECT_EQ(together[i].isMatch, whole[i].isMatch);
      }
    }
  }
}

TEST(Regex, FindsMatchesFarApart) {
  const std::string text = std::string(100'001, 'a') + "é7" + std::string(50'000, 'b') + "7";
  const auto regex = Regex::compile("7", "test");
  ASSERT_TRUE(regex);
  std::vector<Section> sections;
  ASSERT_TRUE(regex->search(text, sections));
  ASSERT_EQ(sections.size(), 4U);
  EXPECT_EQ(sections[1].begin, 100'003U);
  EXPECT_EQ(sections[3].end, text.size());
}

TEST(Regex, LimitsBacktracking) {
  EXPECT_THAT(isolated("(x+x+)+y", std::string(60, 'x') + " y").at(0), testing::HasSubstr("takes too many steps"));
}

}  // namespace
}  // namespace kvista
