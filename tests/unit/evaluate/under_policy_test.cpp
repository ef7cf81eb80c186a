// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// The lab's measures under a policy: with everything kept they are what they are without it, with few tokens less is
// found.
#include "core/evaluate/under_policy.h"

#include <ATen/ops/log_softmax.h>
#include <gmock/gmock.h>

#include "core/evaluate/agreement.h"
#include "core/evaluate/generate.h"
#include "core/evaluate/perplexity.h"
#include "core/evaluate/retrieval.h"
#include "core/evaluate/tasks.h"
#include "core/policy/named_policies.h"
#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

using testing::HasSubstr;

PolicyUse use(const char* line, const PlanTransform* plan = nullptr) { return {valueOf(policyFromText(line)), plan}; }

const PolicyUse& allStay() {
  static const PolicyUse made = use("snapkv interval=5");
  return made;
}
const PolicyUse& fewStay() {
  static const PolicyUse made = use("streaming-llm share=.1 sinks=0 interval=5");
  return made;
}

RetrievalRequest asked(RetrievalKind kind, std::int64_t length) {
  RetrievalRequest request;
  request.filler = valueOf(readTokens(demoTokenizer(), {kEvaluationText}, 4000, {}));
  request.lengths = {length};
  request.depths = {0, 1};
  request.trials = 2;
  request.kind = kind;
  return request;
}

RetrievalScore scoreOf(const RetrievalTrial& trial, const CacheUse& cache) {
  return valueOf(scoreTrial(demoDecoder(), demoTokenizer(), cache, trial, {}));
}

TEST(UnderPolicy, RetrievalWithAllTokensIsThatWithoutIt) {
  for (const RetrievalKind kind : {RetrievalKind::needle, RetrievalKind::variableTracking}) {
    const RetrievalRequest request = asked(kind, 200);
    const RetrievalTrial trial = valueOf(retrievalTrial(demoTokenizer(), request, 0, 1, 0));
    const RetrievalScore whole = scoreOf(trial, {}), kept = scoreOf(trial, CacheUse::under(allStay()));
    EXPECT_NEAR(kept.loss, whole.loss, 1e-4);
    EXPECT_EQ(kept.found, whole.found);
  }
}

TEST(UnderPolicy, FewTokensFindLessOfWhatTheWholeCacheFinds) {
  const RetrievalRequest request = asked(RetrievalKind::needle, 150);
  double loss = 0, lossOfFew = 0, found = 0, foundOfFew = 0;
  for (std::size_t depth = 0; depth < 2; ++depth)
    for (std::int64_t i = 0; i < request.trials; ++i) {
      RetrievalTrial trial = valueOf(retrievalTrial(demoTokenizer(), request, 0, depth, i));
      loss += scoreOf(trial, {}).loss;
      lossOfFew += scoreOf(trial, CacheUse::under(fewStay())).loss;
      // The small model finds no number of five digits; what it writes with the whole cache is what is to be found.
      Generation writing(demoDecoder(), demoTokenizer(), nullptr, {.prompt = trial.prompt, .maximumTokens = 6});
      while (valueOf(writing.step({}))) {
      }
      trial.answer = writing.written();
      found += scoreOf(trial, CacheUse::under(allStay())).found;
      foundOfFew += scoreOf(trial, CacheUse::under(fewStay())).found;
    }
  EXPECT_EQ(found, 4);
  EXPECT_LT(foundOfFew, found);
  EXPECT_GT(lossOfFew, loss) << "the numbers that were read are gone";
}

TEST(UnderPolicy, ActsBeforeTheFirstTokenOfAnAnswerIsForetold) {
  RetrievalTrial trial = valueOf(retrievalTrial(demoTokenizer(), asked(RetrievalKind::needle, 150), 0, 1, 0));
  trial.answer.resize(1);
  EXPECT_NE(scoreOf(trial, CacheUse::under(fewStay())).loss, scoreOf(trial, {}).loss);
  // As Generation::measured has it: what is likeliest behind the prompt is what it writes first.
  const std::vector<std::uint32_t>& prompt = trial.prompt;
  Generation writing = valueOf(Generation::measured(demoDecoder(), demoTokenizer(), CacheUse::under(fewStay()),
                                                    {.prompt = prompt, .maximumTokens = 4}));
  while (valueOf(writing.step({}))) {
  }
  trial.answer = writing.written();
  EXPECT_EQ(scoreOf(trial, CacheUse::under(fewStay())).found, 1) << "writing and reading keep the same tokens";
}

TEST(UnderPolicy, AgreementIsOverWhatWasForetoldBehindThePrompt) {
  const at::Tensor ids = demoWindows(2, 0, kEvaluationText).ids;
  const Planned made = planned("joint");
  const PolicyUse overPlan = use("snapkv interval=5", made.transform.get());
  const TextAgreement plan =
      valueOf(compareOnText({shortDecoder()}, {shortDecoder(), made.transform.get()}, ids, 0, {}));
  const TextAgreement kept =
      valueOf(compareOnText({shortDecoder()}, {shortDecoder(), CacheUse::under(overPlan)}, ids, 1, {}));
  constexpr std::int64_t kHalf = kWindow / 2, kBehind = kWindow - 1 - kHalf;
  EXPECT_EQ(kept.prompt, kHalf);
  ASSERT_EQ(kept.divergences.size(), 2U * kBehind);
  for (std::int64_t i = 0; i < 2 * kBehind; ++i)
    EXPECT_NEAR(kept.divergences[static_cast<std::size_t>(i)],
                plan.divergences[static_cast<std::size_t>(i / kBehind * (kWindow - 1) + kHalf + i % kBehind)], 1e-4);
  ASSERT_EQ(kept.worst.size(), 1U);
  EXPECT_EQ(ids[kept.worst[0].window][kept.worst[0].position].item<std::int64_t>(), kept.worst[0].token);
  EXPECT_GT(kept.worst[0].position, kHalf);
  const TextAgreement few =
      valueOf(compareOnText({demoDecoder()}, {demoDecoder(), CacheUse::under(fewStay())}, ids, 0, {}));
  EXPECT_GT(few.mean, 0.01);
  const at::Tensor prompts = ids.narrow(1, 0, 24);
  const auto agreed = [&](const PolicyUse& policy) {
    return agreementOf(valueOf(
        writeBoth({demoDecoder()}, {demoDecoder(), CacheUse::under(policy)}, demoTokenizer(), prompts, 12, {})));
  };
  EXPECT_EQ(agreed(allStay()).undiverged, 2);
  EXPECT_LT(agreed(fewStay()).equalTokens, 1);
}

TEST(UnderPolicy, AnswersToTasksChangeOnlyWhereTokensGo) {
  const std::string beginning =
      "She was the youngest of the two daughters of a most affectionate, indulgent father, and had, in consequence of "
      "her sister's marriage, been mistress of his";
  TaskItems items{{{3, beginning, {" house", " table and seven", " own"}, {5, 15, 3}, 0},
                   {4, beginning + " house", {" from", " and his"}, {4, 7}, 0}},
                  {{5, beginning, {"house"}, {"\n"}, 6}}};
  const TaskTokens tokens{1, false, {}};
  const auto scores = [&](const CacheUse& cache) {
    return scoreTasks(demoDecoder(), demoTokenizer(), cache, items, tokens, "ask", {});
  };
  const TaskScores whole = valueOf(scores({})), kept = valueOf(scores(CacheUse::under(allStay()))),
                   few = valueOf(scores(CacheUse::under(fewStay())));
  for (std::size_t i = 0; i < items.choices.size(); ++i)
    for (std::size_t k = 0; k < items.choices[i].continuations.size(); ++k) {
      EXPECT_NEAR(kept.choices[i].logLikelihoods[k], whole.choices[i].logLikelihoods[k], 1e-3) << i << ", " << k;
      EXPECT_NE(few.choices[i].logLikelihoods[k], whole.choices[i].logLikelihoods[k])
          << i << ", " << k << ": also an answer of one token";
    }
  EXPECT_EQ(kept.writings[0].written, whole.writings[0].written);
  const PolicyUse tooFew = use("snapkv share=.1");
  const Error refused = errorOf(scores(CacheUse::under(tooFew)));
  EXPECT_THAT(refused.message, HasSubstr("Line 3: At a share of 0.1 the policy snapkv can keep"));
  EXPECT_THAT(refused.hint, HasSubstr("options sinks, window or exempt"));
}

TEST(UnderPolicy, GoesOverAPlanOrOverTheModelItself) {
  const Planned coded = planned("coded"), latents = planned("palu-g");
  EXPECT_EQ(valueOf(policyOver(coded.transform.get(), {.policy = "snapkv"})).plan, coded.transform.get());
  EXPECT_EQ(valueOf(policyOver(coded.transform.get(), {.policy = "kivi"})).plan, nullptr) << "holds no codes";
  EXPECT_EQ(valueOf(policyOver(latents.transform.get(), {.policy = "kivi"})).plan, latents.transform.get());
  EXPECT_EQ(valueOf(policyOver(nullptr, {.policy = "kivi"})).plan, nullptr);
  EXPECT_THAT(errorOf(policyOver(nullptr, {.policy = "best"})).message, HasSubstr("There is no policy \"best\""));
}

TEST(UnderPolicy, PerplexityWithoutItIsOfTheSamePredictions) {
  const at::Tensor ids = demoWindows(2, 0, kEvaluationText).ids;
  const Perplexity behind = valueOf(measurePerplexity(shortDecoder(), ids, nullptr, "", {}, {}, 20));
  const at::Tensor losses = valueOf(shortDecoder().tokenLosses(ids, nullptr, {})).to(at::kDouble);
  EXPECT_EQ(behind.predictions, 2 * (kWindow - 1 - 20));
  EXPECT_NEAR(behind.meanLoss, losses.narrow(1, 20, kWindow - 21).mean().item<double>(), 1e-9);
}

}  // namespace
}  // namespace kvista::test
