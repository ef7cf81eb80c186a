// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/retrieval.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <stop_token>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/evaluate/generate.h"
#include "core/plan/plan_groups.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using testing::HasSubstr;

RetrievalRequest request() {
  RetrievalRequest request;
  request.filler = valueOf(readTokens(demoTokenizer(), {kEvaluationText}, 4000, {}));
  request.filler.resize(4000);
  request.lengths = {48, 96};
  request.depths = {0, 0.5, 1};
  request.trials = 2;
  request.seed = 5;
  return request;
}

std::string textOf(const std::vector<std::uint32_t>& tokens) { return valueOf(demoTokenizer().decode(tokens, false)); }

TEST(Retrieval, PlantsTheSentenceAtItsDepth) {
  const RetrievalRequest asked = request();
  const auto question = valueOf(demoTokenizer().encode("\nThe secret number is", false));
  std::set<std::string> numbers;
  for (std::size_t length = 0; length < 2; ++length)
    for (std::size_t depth = 0; depth < 3; ++depth)
      for (std::int64_t trial = 0; trial < 2; ++trial) {
        const RetrievalTrial made = valueOf(retrievalTrial(demoTokenizer(), asked, length, depth, trial));
        EXPECT_EQ(static_cast<std::int64_t>(made.prompt.size()), asked.lengths[length]);
        EXPECT_EQ(made.wanted.front().size(), 5U);
        EXPECT_EQ(textOf(made.answer), " " + made.wanted.front());
        const std::string sentence = "\nThe secret number is " + made.wanted.front() + ".\n",
                          text = textOf(made.prompt);
        EXPECT_THAT(text, testing::EndsWith("\nThe secret number is"));
        EXPECT_EQ(text.find(sentence), text.rfind(sentence));
        const auto around =
            static_cast<double>(valueOf(demoTokenizer().encode(sentence, false)).size() + question.size());
        const auto before = std::lround(asked.depths[depth] * (static_cast<double>(asked.lengths[length]) - around));
        EXPECT_THAT(textOf({made.prompt.begin() + before, made.prompt.end()}), testing::StartsWith(sentence));
        numbers.insert(made.wanted.front());
      }
  EXPECT_EQ(numbers.size(), 2U) << "a number for each trial, the same at every length and depth";
}

TEST(Retrieval, ScoresWhatAPassOverTheWholeSays) {
  const RetrievalTrial made = valueOf(retrievalTrial(demoTokenizer(), request(), 1, 1, 0));
  std::vector<std::int64_t> ids(made.prompt.begin(), made.prompt.end());
  ids.insert(ids.end(), made.answer.begin(), made.answer.end());
  const at::Tensor losses = valueOf(demoDecoder().tokenLosses(at::tensor(ids, at::kLong).unsqueeze(0), nullptr, {}))[0];
  const auto answer = static_cast<std::int64_t>(made.answer.size());
  EXPECT_NEAR(valueOf(scoreTrial(demoDecoder(), demoTokenizer(), nullptr, made, {})).loss,
              losses.narrow(0, losses.size(0) - answer, answer).mean().item<double>(), 2e-3);
}

TEST(Retrieval, FindsWhatTheModelWritesAndNothingElse) {
  RetrievalTrial made = valueOf(retrievalTrial(demoTokenizer(), request(), 1, 1, 0));
  // What it writes by itself, token by token, is the answer that it is said to find.
  DecoderCache cache;
  std::vector<std::int64_t> next(made.prompt.begin(), made.prompt.end());
  made.answer.clear();
  for (int i = 0; i < 4; ++i) {
    const at::Tensor logits =
        valueOf(demoDecoder().nextToken(at::tensor(next, at::kLong).unsqueeze(0), cache, nullptr, {}));
    next = {logits.argmax().item<std::int64_t>()};
    made.answer.push_back(static_cast<std::uint32_t>(next.front()));
  }
  EXPECT_EQ(valueOf(scoreTrial(demoDecoder(), demoTokenizer(), nullptr, made, {})).found, 1);
  for (std::size_t i = 0; i < made.answer.size(); ++i) {
    RetrievalTrial other = made;
    other.answer[i] = (other.answer[i] + 1) % 4096;
    EXPECT_EQ(valueOf(scoreTrial(demoDecoder(), demoTokenizer(), nullptr, other, {})).found, 0)
        << "another token at " << i;
  }
}

TEST(Retrieval, CostsLessForWhatWasReadAndForWhatStandsNear) {
  RetrievalRequest asked = request();
  asked.lengths = {256};
  asked.depths = {0, 1};
  asked.trials = 4;
  const RetrievalScores scores = valueOf(measureRetrieval(demoDecoder(), demoTokenizer(), nullptr, asked, "ask", {}));
  EXPECT_LT(scores.loss.at(1, 0), scores.loss.at(0, 0))
      << "the sentence right before the question, and 200 tokens before it";
  // The number that was read costs less than one that was not, over some of them.
  std::vector<RetrievalTrial> trials;
  for (std::int64_t trial = 0; trial < 8; ++trial)
    trials.push_back(valueOf(retrievalTrial(demoTokenizer(), asked, 0, 1, trial)));
  double read = 0, other = 0;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    RetrievalTrial swapped = trials[i];
    swapped.answer = trials[(i + 1) % trials.size()].answer;
    read += valueOf(scoreTrial(demoDecoder(), demoTokenizer(), nullptr, trials[i], {})).loss;
    other += valueOf(scoreTrial(demoDecoder(), demoTokenizer(), nullptr, swapped, {})).loss;
  }
  EXPECT_LT(read, other);
}

TEST(Retrieval, IsTheSameForASeedAndUntouchedByAPlanThatKeepsAll) {
  RetrievalRequest asked = request();
  const RetrievalScores scores = valueOf(measureRetrieval(shortDecoder(), demoTokenizer(), nullptr, asked, "ask", {}));
  const RetrievalScores again = valueOf(measureRetrieval(shortDecoder(), demoTokenizer(), nullptr, asked, "ask", {}));
  EXPECT_EQ(scores.loss, again.loss);
  EXPECT_EQ(scores.loss.rows, 3);
  EXPECT_EQ(scores.loss.columns, 2);

  CompressionPlan plan;
  plan.method = "coded";
  plan.grouping = "manual";
  plan.allocator = "waterline";
  plan.groups = singleSlots(shortDecoder().shape());
  const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
  const PlanTransform whole(plan, factors, shortDecoder().shape(), at::kCPU);
  const RetrievalScores kept = valueOf(measureRetrieval(shortDecoder(), demoTokenizer(), &whole, asked, "ask", {}));
  for (std::size_t i = 0; i < scores.loss.values.size(); ++i)
    EXPECT_NEAR(kept.loss.values[i], scores.loss.values[i], 1e-3);

  asked.seed = 6;
  EXPECT_NE(valueOf(measureRetrieval(shortDecoder(), demoTokenizer(), nullptr, asked, "ask", {})).loss, scores.loss);
}

/// What a text plants: the matches of a pattern with two groups, in the order of the text.
std::vector<std::pair<std::string, std::string>> plantedIn(const std::string& text, const std::string& pattern) {
  const std::regex sentence(pattern);
  std::vector<std::pair<std::string, std::string>> found;
  for (std::sregex_iterator match(text.begin(), text.end(), sentence), end; match != end; ++match)
    found.emplace_back((*match)[1], (*match)[2]);
  return found;
}

RetrievalRequest ofKind(RetrievalKind kind, std::int64_t length = 300) {
  RetrievalRequest asked = request();
  asked.kind = kind;
  asked.lengths = {length};
  return asked;
}

TEST(Retrieval, PlantsOtherKeysBesideTheOneItAsksFor) {
  for (std::size_t depth = 0; depth < 3; ++depth)
    for (std::int64_t trial = 0; trial < 4; ++trial) {
      const RetrievalTrial made =
          valueOf(retrievalTrial(demoTokenizer(), ofKind(RetrievalKind::multiKey), 0, depth, trial));
      const std::string text = textOf(made.prompt);
      EXPECT_EQ(made.prompt.size(), 300U);
      const auto planted = plantedIn(text, "\nThe secret number of the ([a-z]+) is ([0-9]{5})\\.\n");
      ASSERT_EQ(planted.size(), 4U) << text;
      std::map<std::string, std::string> numberOf(planted.begin(), planted.end());
      std::set<std::string> numbers;
      for (const auto& [key, number] : planted) numbers.insert(number);
      EXPECT_EQ(numberOf.size(), 4U) << "keys that differ";
      EXPECT_EQ(numbers.size(), 4U) << "numbers that differ";
      const std::string key = text.substr(text.rfind("of the ") + 7, text.rfind(" is") - text.rfind("of the ") - 7);
      EXPECT_THAT(text, testing::EndsWith("\nThe secret number of the " + key + " is"));
      EXPECT_EQ(made.wanted, std::vector<std::string>{numberOf.at(key)});
      EXPECT_EQ(textOf(made.answer), " " + numberOf.at(key));
      if (depth != 1) {
        EXPECT_EQ((depth == 0 ? planted.front() : planted.back()).first, key) << "at its depth";
      }
    }
}

TEST(Retrieval, PlantsAChainThatBeginsAtTheDepth) {
  RetrievalRequest asked = ofKind(RetrievalKind::variableTracking);
  for (const std::int64_t variables : {0, 3}) {
    asked.planted = variables;
    for (std::size_t depth = 0; depth < 3; ++depth) {
      int apart = 0;  // Trials whose first two sentences have text between them.
      for (std::int64_t trial = 0; trial < 4; ++trial) {
        const RetrievalTrial made = valueOf(retrievalTrial(demoTokenizer(), asked, 0, depth, trial));
        const std::string text = textOf(made.prompt);
        const auto links = plantedIn(text, "\nVAR ([A-Z]{5}) = ((?:VAR [A-Z]{5})|[0-9]{5})\\.\n");
        ASSERT_EQ(links.size(), variables == 0 ? 5U : 3U) << text;
        std::string answer;
        for (std::size_t i = 0; i < links.size(); ++i) {
          EXPECT_EQ(links[i].first, made.wanted[i]);
          if (i > 0) {
            EXPECT_EQ(links[i].second, "VAR " + links[i - 1].first);
          }
          answer += " " + links[i].first;
        }
        EXPECT_EQ(textOf(made.answer), answer);
        EXPECT_THAT(text, testing::EndsWith("\nThe variables with the value " + links.front().second + " are"));
        EXPECT_EQ(text.starts_with("\nVAR " + links.front().first), depth == 0);
        const std::string together =
            "\nVAR " + links.front().first + " = " + links.front().second + ".\n\nVAR " + links[1].first;
        apart += text.find(together) == std::string::npos ? 1 : 0;
      }
      EXPECT_EQ(apart > 0, depth < 2) << "at the end nothing is left to stand between them; " << apart;
    }
  }
}

TEST(Retrieval, CountsTheNamesThatAreWritten) {
  // The answer's own words are replaced by what the model writes by itself, a name of which is wanted, and one that it
  // never writes.
  RetrievalTrial made = valueOf(retrievalTrial(demoTokenizer(), ofKind(RetrievalKind::variableTracking), 0, 0, 0));
  GenerationRequest wish;
  wish.prompt = made.prompt;
  wish.maximumTokens = static_cast<std::int64_t>(made.answer.size());
  Generation writing(demoDecoder(), demoTokenizer(), nullptr, wish);
  while (valueOf(writing.step({}))) {
  }
  const std::string text = valueOf(writing.takeText());
  ASSERT_GT(text.size(), 8U);
  made.wanted = {text.substr(0, 4), text.substr(4, 4), "QQXQQ", "XQQXX"};
  EXPECT_EQ(valueOf(scoreTrial(demoDecoder(), demoTokenizer(), nullptr, made, {})).found, 0.5);
  made.answer = writing.written();
  EXPECT_EQ(valueOf(scoreTrial(demoDecoder(), demoTokenizer(), nullptr, made, {})).found, 1)
      << "the whole answer in its order";
}

TEST(Retrieval, RefusesNumbersOfSentencesThatAKindCannotHave) {
  RetrievalRequest asked = request();
  asked.planted = 2;
  EXPECT_THAT(errorOf(retrievalTrial(demoTokenizer(), asked, 1, 0, 0)).message,
              HasSubstr("needle plants 1 sentence, not 2"));
  asked = ofKind(RetrievalKind::multiKey);
  for (const std::int64_t planted : {1, 49}) {
    asked.planted = planted;
    EXPECT_THAT(errorOf(retrievalTrial(demoTokenizer(), asked, 0, 0, 0)).message,
                HasSubstr("multi-key plants 2 to 48 sentences"));
  }
}

TEST(Retrieval, NamesWhatDoesNotFitAndStops) {
  RetrievalRequest asked = request();
  asked.lengths = {8};
  const auto noRoom = measureRetrieval(shortDecoder(), demoTokenizer(), nullptr, asked, "ask", {});
  EXPECT_THAT(errorOf(noRoom).message, HasSubstr("no room in 8 tokens"));
  asked.lengths = {5000};
  asked.texts = {"a.txt"};
  asked.filler.resize(6);
  EXPECT_THAT(errorOf(measureRetrieval(shortDecoder(), demoTokenizer(), nullptr, asked, "ask", {})).message,
              HasSubstr("The text a.txt has 6 tokens, too few for a length of 5000 tokens, of which "));
  asked = request();
  std::stop_source stop;
  std::uint64_t total = 0;
  const Task task{stop.get_token(), [&](const ProgressReport& report) {
                    total = report.total;
                    if (report.done == 3) stop.request_stop();
                  }};
  EXPECT_EQ(errorOf(measureRetrieval(shortDecoder(), demoTokenizer(), nullptr, asked, "ask", task)).code,
            ErrorCode::cancelled);
  EXPECT_EQ(total, 12U);
}

}  // namespace
}  // namespace kvista::test
