// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/token_source.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <tuple>
#include <utility>

#include "tests/unit/demo_model.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using ::testing::HasSubstr;
using Ids = std::vector<std::int64_t>;

Ids idsOf(const std::string& text) {
  const auto ids = valueOf(demoTokenizer().encode(text, false));
  return {ids.begin(), ids.end()};
}

Ids row(const TokenWindows& windows, std::int64_t index) {
  const auto* first = windows.ids.const_data_ptr<std::int64_t>() + index * windows.ids.size(1);
  return {first, first + windows.ids.size(1)};
}

Ids part(const Ids& ids, std::int64_t begin, std::int64_t count) {
  return {ids.begin() + begin, ids.begin() + begin + count};
}

TextRecipe recipeOf(std::vector<std::string> paths, std::int64_t window = 16) {
  TextRecipe recipe;
  recipe.paths = std::move(paths);
  recipe.window = window;
  return recipe;
}

TokenWindows read(const TextRecipe& recipe, std::optional<std::uint32_t> bos = {}) {
  return valueOf(readTokenWindows(demoTokenizer(), recipe, bos, {}));
}

/// The error of a recipe that must be refused.
Error refused(const TextRecipe& recipe) { return errorOf(readTokenWindows(demoTokenizer(), recipe, {}, {})); }

class TokenSource : public ::testing::Test {
 protected:
  TokenSource() {
    writeText(folder_ / "a.txt", first_);
    writeText(folder_ / "b.txt", second_);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
  std::string text_ = readText(kEvaluationText);
  std::string first_ = text_.substr(0, 600);
  std::string second_ = text_.substr(1000, 700);
};

TEST_F(TokenSource, CutsWindowsInOrderWithoutOverlap) {
  const Ids ids = idsOf(first_);
  const TokenWindows windows = read(recipeOf({path("a.txt")}));
  const auto whole = static_cast<std::int64_t>(ids.size()) / 16;
  ASSERT_EQ(windows.ids.sizes().vec(), (Ids{whole, 16}));
  EXPECT_EQ(windows.tokensInText, static_cast<std::int64_t>(ids.size()));
  for (std::int64_t i = 0; i < whole; ++i) EXPECT_EQ(row(windows, i), part(ids, 16 * i, 16)) << i;
}

TEST_F(TokenSource, ReadsDocumentsOneAfterTheOther) {
  Ids ids = idsOf(first_);
  const Ids more = idsOf(second_);
  ids.insert(ids.end(), more.begin(), more.end());
  const TokenWindows both = read(recipeOf({path("a.txt"), path("b.txt")}));
  ASSERT_EQ(both.ids.size(0), static_cast<std::int64_t>(ids.size()) / 16);
  for (std::int64_t i = 0; i < both.ids.size(0); ++i) EXPECT_EQ(row(both, i), part(ids, 16 * i, 16)) << i;
  EXPECT_NE(read(recipeOf({path("b.txt"), path("a.txt")})).hash, both.hash);
}

TEST_F(TokenSource, TakesTheTextsOfAFolderByName) {
  writeText(folder_ / "notes.md", "not a text of ours");
  EXPECT_EQ(read(recipeOf({folder_.path().string()})).hash, read(recipeOf({path("a.txt"), path("b.txt")})).hash);
}

TEST_F(TokenSource, TakesTheFieldTextOfEachJsonLine) {
  writeText(folder_ / "lines.jsonl",
            nlohmann::json{{"text", first_}, {"id", 1}}.dump() + "\n \n" + nlohmann::json{{"text", second_}}.dump());
  EXPECT_EQ(read(recipeOf({path("lines.jsonl")})).hash, read(recipeOf({path("a.txt"), path("b.txt")})).hash);
}

TEST_F(TokenSource, ReadsStandardInput) {
  std::istringstream input(first_);
  std::streambuf* const before = std::cin.rdbuf(input.rdbuf());
  const auto windows = readTokenWindows(demoTokenizer(), recipeOf({"-"}), {}, {});
  std::cin.rdbuf(before);
  ASSERT_TRUE(windows) << windows.error().message;
  EXPECT_EQ(windows->hash, read(recipeOf({path("a.txt")})).hash);
}

TEST_F(TokenSource, SkipsWindowsAtTheStart) {
  TextRecipe recipe = recipeOf({path("a.txt")});
  const TokenWindows all = read(recipe);
  recipe.skipWindows = 3;
  const TokenWindows rest = read(recipe);
  ASSERT_EQ(rest.ids.size(0), all.ids.size(0) - 3);
  EXPECT_EQ(row(rest, 0), row(all, 3));
  recipe.windows = 2;
  const TokenWindows two = read(recipe);
  ASSERT_EQ(two.ids.size(0), 2);
  EXPECT_EQ(row(two, 1), row(all, 4));
  EXPECT_EQ(two.hash, windowsOf(all, 3, 2).hash);
}

TEST_F(TokenSource, MixesTextsInTheRatioOfTheirWeights) {
  const TokenWindows first = read(recipeOf({path("a.txt")})), second = read(recipeOf({path("b.txt")}));
  TextRecipe recipe = recipeOf({path("a.txt"), path("b.txt")});
  recipe.weights = {2, 1};
  recipe.windows = 6;
  const TokenWindows mixed = read(recipe);
  ASSERT_EQ(mixed.ids.size(0), 6);
  const std::pair<const TokenWindows*, std::int64_t> expected[] = {{&first, 0}, {&second, 0}, {&first, 1},
                                                                   {&first, 2}, {&second, 1}, {&first, 3}};
  for (std::int64_t i = 0; i < 6; ++i) EXPECT_EQ(row(mixed, i), row(*expected[i].first, expected[i].second)) << i;

  // The beginning does not depend on how many are wanted, so that shards and held-out slices go on where others ended.
  recipe.skipWindows = 4;
  recipe.windows = 2;
  EXPECT_EQ(read(recipe).hash, windowsOf(mixed, 4, 2).hash);
  // It ends where a text has none left for its turn.
  recipe.skipWindows = 0;
  recipe.windows.reset();
  recipe.weights = {1, 1e-6};
  EXPECT_EQ(read(recipe).hash, read(recipeOf({path("a.txt")})).hash);
}

TEST_F(TokenSource, MixesDrawnWindowsAsWell) {
  TextRecipe recipe = recipeOf({path("a.txt"), path("b.txt")});
  recipe.weights = {1, 3};
  recipe.seed = 5;
  const TokenWindows drawn = read(recipe);
  EXPECT_EQ(read(recipe).hash, drawn.hash);
  const TokenWindows second = read(recipeOf({path("b.txt")}));
  std::set<Ids> ofSecond;
  for (std::int64_t i = 0; i < second.ids.size(0); ++i) ofSecond.insert(row(second, i));
  std::int64_t seen = 0;
  for (std::int64_t i = 0; i < 8; ++i) seen += static_cast<std::int64_t>(ofSecond.count(row(drawn, i)));
  EXPECT_EQ(seen, 6);
}

TEST_F(TokenSource, RefusesWeightsThatMakeNoSense) {
  TextRecipe recipe = recipeOf({path("a.txt"), path("b.txt")});
  recipe.weights = {1};
  EXPECT_EQ(refused(recipe).message, "There are 1 weights for 2 texts.");
  recipe.weights = {1, 0};
  EXPECT_EQ(refused(recipe).message, "A text's weight of 0 is not possible; it must be above 0.");
  recipe.weights = {1, std::numeric_limits<double>::infinity()};
  EXPECT_EQ(refused(recipe).code, ErrorCode::invalidArgument);
}

TEST_F(TokenSource, WeightsArePartOfTheRecord) {
  TextRecipe recipe = recipeOf({path("a.txt"), path("b.txt")});
  EXPECT_FALSE(toJson(recipe).contains("weights"));
  recipe.weights = {2, 0.5};
  EXPECT_EQ(valueOf(textRecipeFromJson(toJson(recipe))), recipe);
  EXPECT_EQ(textsInWords(recipe),
            (std::vector<std::string>{path("a.txt") + " (weight 2)", path("b.txt") + " (weight 0.5)"}));
}

TEST_F(TokenSource, DrawsTheSameWindowsForTheSameSeedInAnotherOrder) {
  TextRecipe recipe = recipeOf({path("b.txt")});
  const TokenWindows ordered = read(recipe);
  recipe.seed = 7;
  const TokenWindows drawn = read(recipe);
  EXPECT_EQ(read(recipe).hash, drawn.hash);
  std::multiset<Ids> expected, got;
  for (std::int64_t i = 0; i < ordered.ids.size(0); ++i) expected.insert(row(ordered, i));
  for (std::int64_t i = 0; i < drawn.ids.size(0); ++i) got.insert(row(drawn, i));
  EXPECT_EQ(got, expected);
  EXPECT_NE(drawn.hash, ordered.hash);
  recipe.seed = 8;
  EXPECT_NE(read(recipe).hash, drawn.hash);

  recipe.seed = 7;
  recipe.windows = 3;  // fewer windows: those that came first
  const TokenWindows few = read(recipe);
  ASSERT_EQ(few.ids.size(0), 3);
  EXPECT_EQ(few.hash, windowsOf(drawn, 0, 3).hash);
  recipe.skipWindows = 3;  // the next ones: what one recipe took, another leaves out
  EXPECT_EQ(read(recipe).hash, windowsOf(drawn, 3, 3).hash);
}

TEST_F(TokenSource, BeginsEachWindowWithBosInsteadOfText) {
  TextRecipe recipe = recipeOf({path("a.txt")});
  recipe.beginWithBos = true;
  const Ids ids = idsOf(first_);
  const TokenWindows windows = read(recipe, 5);
  ASSERT_EQ(windows.ids.size(0), static_cast<std::int64_t>(ids.size()) / 15);
  for (std::int64_t i = 0; i < windows.ids.size(0); ++i) {
    Ids expected = part(ids, 15 * i, 15);
    expected.insert(expected.begin(), 5);
    EXPECT_EQ(row(windows, i), expected) << i;
  }
  EXPECT_THAT(refused(recipe).message, HasSubstr("names no BOS token"));
}

TEST_F(TokenSource, HashFollowsTheContentAndTheShape) {
  const TokenWindows before = read(recipeOf({path("a.txt")}));
  EXPECT_EQ(before.hash.size(), 16U);
  EXPECT_EQ(read(recipeOf({path("a.txt")})).hash, before.hash);
  EXPECT_NE(read(recipeOf({path("a.txt")}, 8)).hash, before.hash);
  std::string changed = first_;
  changed[10] = changed[10] == 'x' ? 'y' : 'x';
  writeText(folder_ / "a.txt", changed);
  EXPECT_NE(read(recipeOf({path("a.txt")})).hash, before.hash);
  EXPECT_NE(windowsOf(before, 0, 2).hash, windowsOf(before, 1, 2).hash);
}

TEST_F(TokenSource, TheBeginningOfALongTextGivesTheSameWindows) {
  TextRecipe recipe = recipeOf({kCalibrationText, kEvaluationText}, 64);
  const TokenWindows all = read(recipe);
  recipe.windows = 5;
  recipe.skipWindows = 2;
  const TokenWindows some = read(recipe);
  EXPECT_LT(some.tokensInText, all.tokensInText / 2);  // else nothing was saved
  EXPECT_EQ(some.hash, windowsOf(all, 2, 5).hash);
  recipe.windows = all.ids.size(0) + 10;  // more than there are
  recipe.skipWindows = 0;
  EXPECT_EQ(read(recipe).hash, all.hash);
}

TEST_F(TokenSource, RefusesInOneSentence) {
  const auto sentence = [&](TextRecipe recipe, ErrorCode code) {
    const Error error = refused(recipe);
    EXPECT_EQ(error.code, code) << error.message;
    EXPECT_THAT(error.message, ::testing::EndsWith("."));
    return error.message;
  };
  EXPECT_THAT(sentence(recipeOf({path("missing.txt")}), ErrorCode::io), HasSubstr("missing.txt does not exist"));
  EXPECT_THAT(sentence(recipeOf({path("a.txt")}, 4096), ErrorCode::invalidArgument),
              HasSubstr(fmt::format("The text {} has {} tokens, too few for one window of 4096", path("a.txt"),
                                    idsOf(first_).size())));
  EXPECT_THAT(sentence(recipeOf({path("a.txt"), path("b.txt")}, 4096), ErrorCode::invalidArgument),
              HasSubstr(fmt::format("The 2 texts {} to {} have ", path("a.txt"), path("b.txt"))));
  TextRecipe skipping = recipeOf({path("a.txt")});
  skipping.skipWindows = 1000;
  EXPECT_THAT(sentence(skipping, ErrorCode::invalidArgument), HasSubstr("too few for a window after the first 1000"));
  EXPECT_THAT(sentence(recipeOf({path("a.txt")}, 1), ErrorCode::invalidArgument),
              HasSubstr("A window of 1 token predicts nothing"));
  TextRecipe none = recipeOf({path("a.txt")});
  none.windows = 0;
  EXPECT_THAT(sentence(none, ErrorCode::invalidArgument), HasSubstr("at least 1"));

  writeText(folder_ / "bad.jsonl", "{\"text\": \"good\"}\n\n{\"words\": 1}\n");
  EXPECT_THAT(sentence(recipeOf({path("bad.jsonl")}), ErrorCode::invalidArgument),
              ::testing::AllOf(HasSubstr("line 3 of"), HasSubstr("bad.jsonl has no string field \"text\"")));
  writeText(folder_ / "bad.jsonl", "{\"text\": \"good\"}\n{\"text\": \n");
  EXPECT_THAT(sentence(recipeOf({path("bad.jsonl")}), ErrorCode::corruptFile), HasSubstr("line 2 of"));
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_THAT(sentence(recipeOf({path("empty")}), ErrorCode::invalidArgument),
              HasSubstr("holds no .txt or .jsonl file"));
}

// Whoever opened a pipe would wait for somebody who writes into it.
TEST_F(TokenSource, GoesIntoNoFolderAndWaitsForNoPipe) {
  const TokenWindows both = read(recipeOf({path("a.txt"), path("b.txt")}));
  std::filesystem::create_directories(folder_ / "aa.txt");
  writeText(folder_ / "aa.txt/c.txt", second_);
  EXPECT_EQ(read(recipeOf({folder_.path().string()})).hash, both.hash);
  ASSERT_EQ(::mkfifo((folder_ / "z.jsonl").c_str(), 0600), 0);
  for (const std::string& given : {folder_.path().string(), path("z.jsonl")}) {
    for (const Error& error : {refused(recipeOf({given})), errorOf(checkTexts({given}))})
      EXPECT_EQ(error.message, fmt::format("The text {} is not a regular file: it is a pipe.", path("z.jsonl")));
  }
  EXPECT_THAT(errorOf(kvista::readText(path("z.jsonl"))).message, HasSubstr("it is a pipe"));
}

TEST_F(TokenSource, TellsHowMuchOfALongTextIsRead) {
  std::string text;
  while (text.size() < (1U << 20)) text += text_;
  writeText(folder_ / "long.txt", text);
  std::uint64_t last = 0;
  int reports = 0;
  const Task task{{}, [&](const ProgressReport& report) {
                    EXPECT_EQ(std::tie(report.stage, report.unit), std::make_tuple("read the text", "bytes"));
                    EXPECT_EQ(report.total, text.size() + first_.size());
                    EXPECT_GT(report.done, std::exchange(last, report.done));
                    ++reports;
                  }};
  TextRecipe recipe = recipeOf({path("a.txt"), path("long.txt")});
  recipe.windows = 2;
  recipe.seed = 7;
  EXPECT_EQ(valueOf(readTokenWindows(demoTokenizer(), recipe, {}, task)).ids.size(0), 2);
  EXPECT_GE(reports, 2);
}

TEST_F(TokenSource, NamesTheTextThatIsNotUtf8) {
  const auto windowsOfBoth = recipeOf({path("a.txt"), path("b.txt")});
  writeText(folder_ / "b.txt", second_ + "caf\xe9 au lait");
  for (const Error& error : {refused(windowsOfBoth), errorOf(checkTexts(windowsOfBoth.paths))}) {
    EXPECT_EQ(error.code, ErrorCode::invalidArgument);
    EXPECT_EQ(error.message, fmt::format("The text {} is not UTF-8: its byte {} is part of no character.",
                                         path("b.txt"), second_.size() + 3));
    EXPECT_THAT(error.hint, HasSubstr("iconv -f WINDOWS-1252 -t UTF-8"));
  }
  writeText(folder_ / "b.txt", std::string("\xff\xfe"
                                           "a\0",
                                           4));
  EXPECT_THAT(errorOf(checkTexts({folder_.path().string()})).hint, HasSubstr("iconv -f UTF-16 -t UTF-8"));

  // Before any work only beginnings are looked at, which may end within a character.
  std::string longText(1 << 16, 'x');
  longText.replace(longText.size() - 1, 1, "\u00e9");
  writeText(folder_ / "b.txt", longText);
  EXPECT_TRUE(checkTexts({path("b.txt")}));
  writeText(folder_ / "b.txt", longText + "\xff");
  EXPECT_TRUE(checkTexts({path("b.txt")}));
  EXPECT_THAT(refused(windowsOfBoth).message, HasSubstr(fmt::format("its byte {} is", longText.size())));
}

TEST_F(TokenSource, StopsWhenAsked) {
  std::stop_source stop;
  stop.request_stop();
  const auto windows = readTokenWindows(demoTokenizer(), recipeOf({path("a.txt")}), {}, {stop.get_token(), {}});
  EXPECT_EQ(errorOf(windows).code, ErrorCode::cancelled);
}

TEST(TextRecipe, JsonRoundTrip) {
  TextRecipe recipe = recipeOf({"a.txt", "-"}, 128);
  EXPECT_EQ(valueOf(textRecipeFromJson(toJson(recipe))), recipe);
  recipe.windows = 12;
  recipe.skipWindows = 3;
  recipe.seed = 18446744073709551615U;
  recipe.beginWithBos = true;
  EXPECT_EQ(valueOf(textRecipeFromJson(toJson(recipe))), recipe);
  for (const char* key : {"paths", "window", "skipWindows", "beginWithBos"}) {
    nlohmann::json damaged = toJson(recipe);
    damaged[key] = nlohmann::json::object();
    EXPECT_EQ(errorOf(textRecipeFromJson(damaged)).code, ErrorCode::corruptFile) << key;
    damaged.erase(key);
    EXPECT_FALSE(textRecipeFromJson(damaged)) << key;
  }
}

}  // namespace
}  // namespace kvista::test
