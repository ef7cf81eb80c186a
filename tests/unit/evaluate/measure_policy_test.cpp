// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/measure_policy.h"

#include <gtest/gtest.h>

#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

TEST(MeasurePolicy, WithAllTokensItIsThePerplexityOfThePass) {
  const at::Tensor ids = demoWindows(3, 0, kEvaluationText).ids;
  const Perplexity whole = valueOf(measurePerplexity(shortDecoder(), ids, nullptr, "", {}));
  const PolicyMeasurement measured =
      valueOf(measurePolicy(shortDecoder(), ids, nullptr, nullptr, {.policy = "snapkv", .share = 1, .prompt = 20, .interval = 9}, {}));
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
    return valueOf(measurePolicy(demoDecoder(), ids, nullptr, nullptr,
                                 {.policy = "streaming-llm", .options = {{"sinks", "0"}}, .share = share, .prompt = 24, .interval = interval}, {}));
  };
  const PolicyMeasurement full = measured(1, 8), half = measured(0.5, 8), tenth = measured(0.1, 8), once = measured(0.5, 0);
  EXPECT_GT(tenth.behindPrompt.meanLoss, half.behindPrompt.meanLoss);
  EXPECT_GT(half.behindPrompt.meanLoss, full.behindPrompt.meanLoss);
  EXPECT_NEAR(half.shareAtEnd(), 0.5, 1e-9);
  EXPECT_EQ(half.tokensKept, 32);
  EXPECT_EQ(half.bytesAtMost, full.bytesAtEnd / kWindow * (28 + 8));  // kept of 56 tokens, and the 8 that came before it acted
  EXPECT_EQ(once.tokensKept, 12 + 40);                                // what follows the prompt stays
}

TEST(MeasurePolicy, WithAllTokensItIsThePlansPerplexity) {
  const Planned made = planned("joint");
  const at::Tensor ids = demoWindows(3, 0, kEvaluationText).ids;
  const Perplexity whole = valueOf(measurePerplexity(shortDecoder(), ids, made.transform.get(), "", {}));
  const PolicyMeasurement measured =
      valueOf(measurePolicy(shortDecoder(), ids, made.transform.get(), &made.plan, {.policy = "l2-norm", .prompt = 20, .interval = 10}, {}));
  EXPECT_NEAR(measured.all.meanLoss, whole.meanLoss, 1e-5);
  EXPECT_EQ(measured.bytesAtEnd, static_cast<double>(kWindow * bytesPerToken(made.plan)));
}

}  // namespace
}  // namespace kvista::test
