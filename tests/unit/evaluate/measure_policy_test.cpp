// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/measure_policy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

TEST(MeasurePolicy, WithAllTokensItIsThePerplexityOfThePass) {
  const at::Tensor ids = demoWindows(3, 0, kEvaluationText).ids;
  const Perplexity whole = valueOf(measurePerplexity(shortDecoder(), ids, nullptr, "", {}));
  const PolicyMeasurement measured = valueOf(
      measurePolicy(shortDecoder(), ids, nullptr, {.policy = "snapkv", .share = 1, .prompt = 20, .interval = 9}, {}));
  EXPECT_NEAR(measured.all.meanLoss, whole.meanLoss, 1e-5);
  EXPECT_EQ(measured.all.predictions, whole.predictions);
  EXPECT_EQ(measured.behindPrompt.predictions, 3 * (kWindow - 1 - 20));
  EXPECT_EQ(measured.bytesAtEnd, fullBytes(kWindow));
  EXPECT_EQ(measured.tokensKept, kWindow);
  const at::Tensor losses = valueOf(shortDecoder().tokenLosses(ids, nullptr, {})).to(at::kDouble);
  EXPECT_NEAR(measured.behindPrompt.meanLoss, losses.narrow(1, 20, kWindow - 21).mean().item<double>(), 1e-5);
}

TEST(MeasurePolicy, LosesMoreWithFewerBytesAndCountsThem) {
  const at::Tensor ids = demoWindows(4, 0, kEvaluationText).ids;
  const auto measured = [&](double share, std::int64_t interval) {
    const std::map<std::string, std::string> options = {{"sinks", "0"}};
    const PolicyRequest request{
        .policy = "streaming-llm", .options = options, .share = share, .prompt = 24, .interval = interval};
    return valueOf(measurePolicy(demoDecoder(), ids, nullptr, request, {}));
  };
  const PolicyMeasurement full = measured(1, 8), half = measured(0.5, 8), tenth = measured(0.1, 8),
                          once = measured(0.5, 0);
  EXPECT_GT(tenth.behindPrompt.meanLoss, half.behindPrompt.meanLoss);
  EXPECT_GT(half.behindPrompt.meanLoss, full.behindPrompt.meanLoss);
  EXPECT_NEAR(half.shareAtEnd(), 0.5, 1e-9);
  EXPECT_EQ(half.tokensKept, 32);
  EXPECT_EQ(half.bytesAtMost,
            full.bytesAtEnd / kWindow * (28 + 8));  // kept of 56 tokens, and the 8 that came before it acted
  EXPECT_EQ(once.tokensKept, 12 + 40);              // what follows the prompt stays
}

TEST(MeasurePolicy, WithAllTokensItIsThePlansPerplexity) {
  const Planned made = planned("joint");
  const at::Tensor ids = demoWindows(3, 0, kEvaluationText).ids;
  const Perplexity whole = valueOf(measurePerplexity(shortDecoder(), ids, made.transform.get(), "", {}));
  const PolicyMeasurement measured = valueOf(measurePolicy(shortDecoder(), ids, made.transform.get(),
                                                           {.policy = "l2-norm", .prompt = 20, .interval = 10}, {}));
  EXPECT_NEAR(measured.all.meanLoss, whole.meanLoss, 1e-5);
  EXPECT_EQ(measured.bytesAtEnd, static_cast<double>(kWindow * bytesPerToken(made.plan)));
}

TEST(MeasurePolicy, QuantisesAPlansLatentsAndGoesWithAChoiceOfTokens) {
  const Planned made = planned("palu-g");
  const at::Tensor ids = demoWindows(2, 0, kEvaluationText).ids;
  const auto measured = [&](const PolicyRequest& request) {
    return valueOf(measurePolicy(shortDecoder(), ids, made.transform.get(), request, {}));
  };
  const PolicyMeasurement plan = measured({.policy = "streaming-llm", .prompt = 32, .interval = 16});
  const PolicyMeasurement eight =
      measured({.policy = "hadamard", .options = {{"bits", "8"}}, .prompt = 32, .interval = 16});
  const PolicyMeasurement eightFloat = measured({.policy = "fp8", .prompt = 32, .interval = 16});
  EXPECT_NEAR(eight.behindPrompt.meanLoss, plan.behindPrompt.meanLoss, 0.01);
  EXPECT_NEAR(eightFloat.behindPrompt.meanLoss, plan.behindPrompt.meanLoss, 0.05);
  EXPECT_LT(eight.bytesAtEnd, 0.6 * plan.bytesAtEnd);
  EXPECT_LT(eightFloat.bytesAtEnd, eight.bytesAtEnd);  // no zero
  // By a share the most bits that fit are taken: half of a half at 16 bits is 8 and what scales take.
  const PolicyMeasurement fitted = measured({.policy = "hadamard", .share = 0.25, .prompt = 32, .interval = 16});
  EXPECT_LE(fitted.shareAtEnd(), 0.25);
  EXPECT_GT(fitted.shareAtEnd(), 0.1);
  const PolicyMeasurement both =
      measured({.policy = "snapkv+hadamard", .options = {{"window", "8"}}, .share = 0.1, .prompt = 32, .interval = 16});
  EXPECT_LE(both.shareAtEnd(), 0.1);
  EXPECT_GT(both.shareAtEnd(), 0.09);
}

TEST(MeasurePolicy, CountsLayersOfAChainOnceAndKeepsTheirBudget) {
  const Planned made = planned("coded-chain", false);
  ASSERT_EQ(made.plan.chain, 2);
  const at::Tensor ids = demoWindows(2, 0, kEvaluationText).ids;
  const PolicyRequest request{
      .policy = "kvzip", .options = {{"window", "8"}}, .share = 0.35, .prompt = 32, .interval = 16};
  const PolicyMeasurement measured = valueOf(measurePolicy(shortDecoder(), ids, made.transform.get(), request, {}));
  const std::int64_t kept = std::llround(measured.tokensKept);
  EXPECT_EQ(measured.tokensKept, static_cast<double>(kept)) << "the layers keep other tokens than one another";
  const std::int64_t bytes =
      fullBytes(made.plan.exactTokens) + (kept - made.plan.exactTokens) * bytesPerToken(made.plan) + 4 * kept;
  EXPECT_EQ(measured.shareAtEnd(), static_cast<double>(bytes) / static_cast<double>(fullBytes(kWindow)));
  EXPECT_LE(measured.shareAtEnd(), 0.35);
}

}  // namespace
}  // namespace kvista::test
