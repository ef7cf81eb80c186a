// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/agreement.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <gmock/gmock.h>

#include <stop_token>

#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;

/// Values of a third of their size: enough that the two differ everywhere.
class SmallerValues final : public CacheTransform {
  KeyValues beforeRope(int, KeyValues raw) const override { return {raw.keys, raw.values * 0.3}; }
  bool isTokenwise() const override { return true; }
};

TEST(Percentile, IsTheNearestRank) {
  const std::vector<float> values = {9, 1, 3, 7, 5};
  EXPECT_EQ(percentileOf(values, 0.5), 5);
  EXPECT_EQ(percentileOf(values, 0.99), 9);
  EXPECT_EQ(percentileOf(values, 0.2), 1);
  EXPECT_EQ(percentileOf(values, 0.21), 3);
  EXPECT_EQ(percentileOf(values, 0), 1);
  std::vector<float> hundred(100);
  for (std::size_t i = 0; i < 100; ++i) hundred[i] = static_cast<float>((i * 37) % 100 + 1);
  EXPECT_EQ(percentileOf(hundred, 0.99), 99);
}

TEST(CompareOnText, IsWhatTheWholeDistributionsSay) {
  const at::Tensor ids = demoWindows(3, 0, kEvaluationText).ids;
  const SmallerValues smaller;
  const TextAgreement found = valueOf(compareOnText({shortDecoder()}, {shortDecoder(), &smaller}, ids, 5, {}));
  const auto logProbabilities = [&](const CacheTransform* transform) {
    const at::Tensor logits =
        valueOf(shortDecoder().forward(ids, transform, {}, true, {})).logits.narrow(1, 0, kWindow - 1);
    return at::log_softmax(logits.to(at::kDouble), -1);
  };
  const at::Tensor p = logProbabilities(nullptr), q = logProbabilities(&smaller);
  const at::Tensor divergences = (p.exp() * (p - q)).sum(-1).flatten();
  const std::int64_t predictions = 3 * (kWindow - 1);
  ASSERT_EQ(found.predictions, predictions);
  for (std::int64_t i = 0; i < predictions; ++i)
    EXPECT_NEAR(found.divergences[static_cast<std::size_t>(i)], divergences[i].item<double>(), 1e-4) << i;
  EXPECT_NEAR(found.mean, divergences.mean().item<double>(), 1e-5);
  EXPECT_NEAR(found.largest, divergences.max().item<double>(), 1e-4);
  EXPECT_NEAR(found.median, std::get<0>(divergences.sort())[(predictions - 1) / 2].item<double>(), 1e-4);
  EXPECT_NEAR(found.sameLikeliest, p.argmax(-1).eq(q.argmax(-1)).to(at::kDouble).mean().item<double>(), 1e-9);
  EXPECT_LT(found.sameLikeliest, 1);
  ASSERT_EQ(found.worst.size(), 5U);
  const auto highest = divergences.argsort(-1, true);
  for (std::int64_t i = 0; i < 5; ++i) {
    const ComparedToken& token = found.worst[static_cast<std::size_t>(i)];
    const auto place = highest[i].item<std::int64_t>();
    EXPECT_EQ(token.window, place / (kWindow - 1));
    EXPECT_EQ(token.position, place % (kWindow - 1) + 1);
    EXPECT_EQ(token.token, ids[token.window][token.position].item<std::int64_t>());
    EXPECT_EQ(token.original, p[token.window][token.position - 1].argmax().item<std::int64_t>());
    EXPECT_EQ(token.plan, q[token.window][token.position - 1].argmax().item<std::int64_t>());
  }
}

TEST(CompareOnText, GoesWindowByWindow) {
  const at::Tensor ids = demoWindows(3, 0, kEvaluationText).ids;
  const SmallerValues smaller;
  std::vector<std::uint64_t> told;
  const Task task{{}, [&](const ProgressReport& report) { told.push_back(report.done); }};
  const TextAgreement whole = valueOf(compareOnText({shortDecoder()}, {shortDecoder(), &smaller}, ids, 0, task));
  EXPECT_THAT(told, ElementsAre(0, kWindow, 2 * kWindow))
      << "logits of a window are gone before those of the next come";
  const TextAgreement last =
      valueOf(compareOnText({shortDecoder()}, {shortDecoder(), &smaller}, ids.narrow(0, 2, 1), 0, {}));
  EXPECT_EQ(std::vector<float>(whole.divergences.end() - (kWindow - 1), whole.divergences.end()), last.divergences);
}

TEST(CompareOnText, SaysInWordsWhereTheyDiffer) {
  const at::Tensor ids = demoWindows(1).ids;
  const auto words = valueOf(inWords({{0, 3, 0.5, 7, 8, 9}, {0, 40, 0.25, 7, 8, 9}}, ids, demoTokenizer()));
  const auto decoded = [&](std::int64_t begin, std::int64_t end) {
    const auto* first = ids[0].const_data_ptr<std::int64_t>();
    return valueOf(demoTokenizer().decode({first + begin, first + end}, false));
  };
  ASSERT_EQ(words.size(), 2U);
  EXPECT_EQ(words[0].context, decoded(0, 3)) << "no more than there is";
  EXPECT_EQ(words[1].context, decoded(28, 40));
  EXPECT_EQ(words[1].text, valueOf(demoTokenizer().decode({7}, false)));
  EXPECT_EQ(words[1].plan, valueOf(demoTokenizer().decode({9}, false)));
}

TEST(CompareOnText, AModelAgreesWithItself) {
  const TextAgreement same = valueOf(compareOnText({shortDecoder()}, {shortDecoder()}, demoWindows(2).ids, 0, {}));
  EXPECT_EQ(same.sameLikeliest, 1);
  EXPECT_NEAR(same.largest, 0, 1e-6);
  EXPECT_TRUE(same.worst.empty());
}

TEST(CompareOnText, ComparesTwoModels) {
  // The whole model and its first two layers have one vocabulary and nothing else in common.
  const at::Tensor ids = demoWindows(1).ids;
  const TextAgreement found = valueOf(compareOnText({demoDecoder()}, {shortDecoder()}, ids, 1, {}));
  const auto logProbabilities = [&](const Decoder& decoder) {
    return at::log_softmax(
        valueOf(decoder.forward(ids, nullptr, {}, true, {})).logits.narrow(1, 0, kWindow - 1).to(at::kDouble), -1);
  };
  const at::Tensor p = logProbabilities(demoDecoder()), q = logProbabilities(shortDecoder());
  EXPECT_NEAR(found.mean, (p.exp() * (p - q)).sum(-1).mean().item<double>(), 1e-4);
}

TEST(Agreement, IsWhatThePairsSay) {
  const WritingAgreement found =
      agreementOf({{{1, 2, 3, 4}, {1, 2, 3, 4}}, {{1, 2, 3, 4}, {1, 9, 3, 8}}, {{5, 6, 7, 8}, {4, 6, 7, 8}}});
  EXPECT_THAT(found.equalTokens, DoubleEq(9.0 / 12));
  EXPECT_THAT(found.firstDivergences, ElementsAre(4, 1, 0));
  EXPECT_THAT(found.meanDivergence, DoubleEq(5.0 / 3));
  EXPECT_EQ(found.medianDivergence, 1);
  EXPECT_EQ(found.undiverged, 1);
  EXPECT_EQ(agreementOf({{{1, 2}, {1, 3}}, {{1, 2}, {1, 2}}}).medianDivergence, 1.5)
      << "the mean of the two in the middle";
}

TEST(Agreement, EachSideWritesItsLikeliestTokens) {
  const SmallerValues smaller;
  const at::Tensor prompts = demoWindows(3, 0, kEvaluationText).ids.narrow(1, 0, 9);
  const auto pairs = valueOf(writeBoth({shortDecoder()}, {shortDecoder(), &smaller}, demoTokenizer(), prompts, 6, {}));
  ASSERT_EQ(pairs.size(), 3U);
  for (std::int64_t i = 0; i < 3; ++i)
    for (const bool plan : {false, true}) {
      const auto& tokens = plan ? pairs[static_cast<std::size_t>(i)].plan : pairs[static_cast<std::size_t>(i)].original;
      ASSERT_EQ(tokens.size(), 6U);
      std::vector<std::int64_t> ids(prompts[i].contiguous().const_data_ptr<std::int64_t>(),
                                    prompts[i].contiguous().const_data_ptr<std::int64_t>() + 9);
      for (const std::uint32_t token : tokens) {
        const at::Tensor logits = valueOf(shortDecoder().forward(at::tensor(ids, at::kLong).unsqueeze(0),
                                                                 plan ? &smaller : nullptr, {}, true, {}))
                                      .logits[0][-1];
        EXPECT_EQ(token, logits.argmax().item<std::int64_t>());
        ids.push_back(token);
      }
    }
  const auto same = valueOf(writeBoth({shortDecoder()}, {shortDecoder()}, demoTokenizer(), prompts, 6, {}));
  EXPECT_EQ(agreementOf(same).equalTokens, 1);
  EXPECT_EQ(agreementOf(same).undiverged, 3);
  EXPECT_LT(agreementOf(pairs).equalTokens, 1);
}

TEST(Agreement, SaysHowFarItIsAndStops) {
  std::stop_source stop;
  std::uint64_t total = 0;
  const Task task{stop.get_token(), [&](const ProgressReport& report) {
                    total = report.total;
                    if (report.done == 1) stop.request_stop();
                  }};
  const at::Tensor prompts = demoWindows(3).ids.narrow(1, 0, 9);
  EXPECT_EQ(errorOf(writeBoth({shortDecoder()}, {shortDecoder()}, demoTokenizer(), prompts, 2, task)).code,
            ErrorCode::cancelled);
  EXPECT_EQ(total, 3U);
  EXPECT_EQ(errorOf(compareOnText({shortDecoder()}, {shortDecoder()}, prompts, 1, task)).code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace kvista::test
