// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/tasks.h"

#include <ATen/ops/exp.h>
#include <gmock/gmock.h>

#include <cmath>
#include <stop_token>

#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using testing::HasSubstr;

ChoiceItem choice(std::string context, std::vector<std::string> answers, std::size_t gold = 0) {
  ChoiceItem item{7, std::move(context), {}, {}, gold};
  for (const std::string& answer : answers) {
    item.continuations.push_back(" " + answer);
    item.bytes.push_back(answer.size());
  }
  return item;
}

TaskScores scoresOf(const TaskItems& items, const TaskTokens& tokens = {1, false, {}},
                    const CacheTransform* transform = nullptr) {
  return valueOf(scoreTasks(demoDecoder(), demoTokenizer(), transform, items, tokens, "ask", {}));
}

std::vector<std::int64_t> tokensOf(const std::string& text) {
  const auto tokens = valueOf(demoTokenizer().encode(text, false));
  return {tokens.begin(), tokens.end()};
}

/// ln P of the tokens behind the first `known`, a dense softmax of every position's logits at a time.
double denseLogLikelihood(const std::vector<std::int64_t>& ids, std::size_t known) {
  const at::Tensor logits =
      valueOf(demoDecoder().forward(at::tensor(ids, at::kLong).unsqueeze(0), nullptr, {}, true, {}))
          .logits[0]
          .to(at::kDouble);
  double sum = 0;
  for (std::size_t i = known; i < ids.size(); ++i) {
    const at::Tensor row = logits[static_cast<std::int64_t>(i) - 1];
    sum += row[ids[i]].item<double>() - std::log(row.exp().sum().item<double>());
  }
  return sum;
}

TEST(Tasks, LogLikelihoodsAreThoseOfADenseReference) {
  const TaskItems items{{choice("She was the youngest of the two daughters of a most affectionate",
                                {"father", "and indulgent father", "friend"}),
                         choice("It was a", {"truth", "very fine day"}, 1)},
                        {}};
  const TaskScores scores = scoresOf(items);
  for (std::size_t i = 0; i < items.choices.size(); ++i)
    for (std::size_t k = 0; k < items.choices[i].continuations.size(); ++k) {
      const auto ids = tokensOf(items.choices[i].context + items.choices[i].continuations[k]);
      EXPECT_NEAR(scores.choices[i].logLikelihoods[k],
                  denseLogLikelihood(ids, tokensOf(items.choices[i].context).size()), 1e-3)
          << i << ", " << k;
    }
  EXPECT_EQ(scores.shortened, 0);
}

TEST(Tasks, WhiteSpaceAtTheEndOfAQuestionIsTheAnswers) {
  ChoiceItem apart = choice("It was a  \n", {"truth", "day"});
  const TaskScores scores = scoresOf({{apart}, {}});
  const auto ids = tokensOf("It was a  \n truth");
  EXPECT_NEAR(scores.choices[0].logLikelihoods[0], denseLogLikelihood(ids, tokensOf("It was a").size()), 1e-3);
}

TEST(Tasks, AnEmptyQuestionIsTheFirstToken) {
  const TaskScores scores = scoresOf({{choice("", {"It", "They"})}, {}}, {2, false, {}});
  std::vector<std::int64_t> ids = tokensOf(" It");
  ids.insert(ids.begin(), 2);
  EXPECT_NEAR(scores.choices[0].logLikelihoods[0], denseLogLikelihood(ids, 1), 1e-3);
  // The same token stands before every question where that is asked for.
  const TaskScores begun = scoresOf({{choice("It was", {"a day", "not"})}, {}}, {2, true, {}});
  ids = tokensOf("It was not");
  ids.insert(ids.begin(), 2);
  EXPECT_NEAR(begun.choices[0].logLikelihoods[1], denseLogLikelihood(ids, 1 + tokensOf("It was").size()), 1e-3);
  const TaskItems empty{{choice("", {"It", "They"})}, {}};
  EXPECT_THAT(errorOf(scoreTasks(demoDecoder(), demoTokenizer(), nullptr, empty, {}, "ask", {})).message,
              HasSubstr("context of line 7 is empty"));
}

TEST(Tasks, ChoosesByTheSumAndByTheBytes) {
  // A long answer that is likelier by the byte than a short one, which is likelier as a whole.
  const TaskItems items{
      {choice("It is a truth universally", {"acknowledged, that a single man in possession of a good fortune", "so"})},
      {}};
  const ChoiceScore score = scoresOf(items).choices[0];
  const double first = score.logLikelihoods[0], second = score.logLikelihoods[1];
  EXPECT_EQ(score.likeliest, first > second ? 0U : 1U);
  EXPECT_EQ(score.likeliestByBytes, first / 63 > second / 2 ? 0U : 1U);
  EXPECT_EQ(items.choices[0].bytes[0], 63U);
  EXPECT_NE(score.likeliest, score.likeliestByBytes) << first << ", " << second;
}

TEST(Tasks, CountsWhatIsRight) {
  const std::vector<ChoiceItem> items(5, choice("q", {"a", "b"}, 1));
  std::vector<ChoiceScore> scores(5);
  for (std::size_t i = 0; i < 5; ++i) scores[i] = {{}, i < 3 ? 1U : 0U, i < 1 ? 1U : 0U};
  const Accuracy sum = accuracyOf(items, scores, &ChoiceScore::likeliest),
                 byBytes = accuracyOf(items, scores, &ChoiceScore::likeliestByBytes);
  EXPECT_EQ(sum.share(), 0.6);
  EXPECT_NEAR(sum.standardError(), std::sqrt(0.6 * 0.4 / 4), 1e-12);
  EXPECT_EQ(byBytes.share(), 0.2);
  EXPECT_EQ((Accuracy{1, 1}).standardError(), 0);
}

TEST(Tasks, IsTheSameInAnyOrderAndWithAPlanThatChangesNothing) {
  TaskItems items{{choice("It was a", {"truth", "very fine day"}), choice("Emma was", {"handsome", "not"}),
                   choice("He had", {"no", "a carriage and four"})},
                  {}};
  const TaskScores scores = scoresOf(items);
  std::ranges::reverse(items.choices);
  const CacheTransform nothing;
  const TaskScores reversed = scoresOf(items, {1, false, {}}, &nothing);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t k = 0; k < 2; ++k)
      EXPECT_NEAR(scores.choices[i].logLikelihoods[k], reversed.choices[2 - i].logLikelihoods[k], 1e-4);
}

TEST(Tasks, WritesUntilAStringAndAsksWhetherThatIsTheAnswer) {
  WritingItem item{3, "It is a truth universally", {}, {"zzzz"}, 12};
  TaskItems items{{}, {item}};
  const std::string whole = scoresOf(items).writings[0].written;
  ASSERT_GT(whole.size(), 12U);
  // What the model writes is right; up to a string in its midst, the part before it.
  items.writings[0].targets = {"something else", " " + whole + "\n"};
  EXPECT_TRUE(scoresOf(items).writings[0].isRight);
  items.writings[0].until = {"zzzz", whole.substr(8, 3)};
  const WritingScore ended = scoresOf(items).writings[0];
  EXPECT_EQ(ended.written,
            whole.substr(0, whole.substr(0, whole.find(whole.substr(8, 3))).find_last_not_of(" \n") + 1));
  EXPECT_FALSE(ended.isRight);
  items.writings[0].targets = {ended.written};
  EXPECT_TRUE(scoresOf(items).writings[0].isRight);
  // A token that ends texts ends this one.
  const auto ids = tokensOf("It is a truth universally");
  DecoderCache cache;
  const at::Tensor logits =
      valueOf(demoDecoder().nextToken(at::tensor(ids, at::kLong).unsqueeze(0), cache, nullptr, {}));
  EXPECT_EQ(scoresOf(items, {1, false, {static_cast<std::uint32_t>(logits.argmax().item<std::int64_t>())}})
                .writings[0]
                .written,
            "");
}

TEST(Tasks, LeavesOutTheBeginningOfWhatIsTooLong) {
  std::string longer;
  for (int i = 0; i < 1500; ++i) longer += " and so on";
  const std::int64_t positions = demoDecoder().description().maximumPositions;
  const auto ids = tokensOf(longer + " day");
  ASSERT_GT(static_cast<std::int64_t>(ids.size()), positions);
  const TaskScores scores = scoresOf({{choice(longer, {"day", "night"})}, {{4, longer, {"x"}, {"\n"}, 2}}});
  EXPECT_EQ(scores.shortened, 3);
  const auto answer = ids.size() - tokensOf(longer).size();
  const std::vector<std::int64_t> kept(ids.end() - positions, ids.end());
  EXPECT_NEAR(scores.choices[0].logLikelihoods[0], denseLogLikelihood(kept, kept.size() - answer), 2e-3);
  const TaskItems tooMuch{{}, {{9, "a", {"x"}, {"\n"}, positions}}};
  EXPECT_THAT(errorOf(scoreTasks(demoDecoder(), demoTokenizer(), nullptr, tooMuch, {}, "ask", {})).message,
              HasSubstr("Line 9 wants up to"));
}

TEST(Tasks, MeasuresBothSidesAndWhatTheyAnswerAlike) {
  const TaskItems items{{choice("a", {"b", "c"}), choice("a", {"b", "c"})}, {{3, "a", {"x"}, {}, 1}}};
  TaskScores one, other;
  one.choices = {{{-1, -2}, 0, 1}, {{-1, -2}, 0, 0}};
  other.choices = {{{-1, -2}, 0, 0}, {{-2, -1}, 1, 1}};
  one.writings = {{"x", true}};
  other.writings = {{"y", false}};
  const auto measures = taskMeasuresOf(items, {one, other});
  ASSERT_EQ(measures.size(), 3U);
  EXPECT_EQ(measures[0].name, "acc");
  EXPECT_EQ(measures[0].sides[0].right, 2);
  EXPECT_EQ(measures[0].sides[1].right, 1);
  EXPECT_EQ(measures[0].same, 1);
  EXPECT_EQ(measures[1].name, "acc_norm");
  EXPECT_EQ(measures[1].same, 0);
  EXPECT_EQ(measures[2].name, "exact_match");
  EXPECT_EQ(measures[2].sides[1].right, 0);
  one.writings.clear();
  EXPECT_EQ(taskMeasuresOf({items.choices, {}}, {one}).size(), 2U) << "no measure of items that there are not";
}

TEST(Tasks, SaysHowFarItIsAndStops) {
  std::stop_source stop;
  std::uint64_t total = 0;
  const Task task{stop.get_token(), [&](const ProgressReport& report) {
                    total = report.total;
                    stop.request_stop();
                  }};
  const TaskItems items{{choice("It was a", {"truth", "very fine day"})}, {}};
  EXPECT_EQ(errorOf(scoreTasks(demoDecoder(), demoTokenizer(), nullptr, items, {}, "ask", task)).code,
            ErrorCode::cancelled);
  EXPECT_EQ(total, 2U);
}

}  // namespace
}  // namespace kvista::test
