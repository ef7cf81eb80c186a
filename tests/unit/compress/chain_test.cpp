// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Layers that are coded as what the decoded layer before them does not predict (help page Methods, section 10).
#include "core/compress/chain.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/compress/sampled_outputs.h"
#include "core/model/live_cache.h"
#include "tests/unit/compress/plan_request.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A chain that codes its first layer too.
PlanRequest codedChain(double share) {
  PlanRequest request = requestOf("coded-chain", share);
  request.tokenNumbers = false;
  return request;
}

PlannedPlan planned(const PlanRequest& request) {
  return valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned;
}

/// At an eighth, made once: to plan a chain is to code its layers.
const PlannedPlan& chainOfCodes() {
  static const PlannedPlan made = planned(codedChain(0.125));
  return made;
}

KeyValues outputs(unsigned seed) {
  return {gaussian({2, 9, 256}, seed).to(at::kFloat), gaussian({2, 9, 256}, seed + 1).to(at::kFloat)};
}

at::Tensor both(const KeyValues& y) { return at::cat({y.keys, y.values}, -1); }

TEST(Chain, ALayerStoresWhatTheDecodedOneBeforeDoesNotPredict) {
  const CompressionPlan& plan = chainOfCodes().plan;
  const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
  ASSERT_EQ(plan.chain, 2);
  EXPECT_FALSE(factors[0].prediction.defined());
  ASSERT_TRUE(factors[1].prediction.defined());
  const PlanTransform transform(plan, factors, shortDecoder().shape(), at::kCPU);
  const KeyValues first = outputs(1), second = outputs(3);
  const at::Tensor before = both(transform.beforeRope(0, first)), after = both(transform.beforeRope(1, second));
  const at::Tensor foreseen = at::matmul(before, factors[1].prediction.t()), rest = both(second) - foreseen;
  const at::Tensor coded = foreseen + rebuiltFrom(codeAndDecode(latentOf(rest, factors[1]), factors[1]), factors[1]);
  const std::int64_t exact = plan.exactTokens;
  EXPECT_LE(largestDifference(after.narrow(1, exact, 9 - exact), coded.narrow(1, exact, 9 - exact)), 1e-5);
  EXPECT_EQ(largestDifference(after.narrow(1, 0, exact), both(second).narrow(1, 0, exact)), 0);
}

TEST(Chain, ThePredictionIsTheBestLinearOneOfTheSample) {
  const CompressionPlan& plan = chainOfCodes().plan;
  const std::vector<GroupBasis> bases = valueOf(chainedBases(shortDecoder(), shortStatistics(), plan, {}));
  const auto sample = [](int layer) {
    return sampledOutputs(shortDecoder(), shortStatistics(), layer, KeyPosition::beforeRope);
  };
  const GroupFactors first = factorsOf(bases[0], plan.groups[0]);
  const at::Tensor before = rebuiltFrom(codeAndDecode(latentOf(sample(0), first), first), first);
  const auto left = [&](const at::Tensor& prediction) {
    return (sample(1) - at::matmul(before, prediction.t())).to(at::kDouble).square().sum().item<double>();
  };
  const double least = left(bases[1].prediction), whole = sample(1).to(at::kDouble).square().sum().item<double>();
  EXPECT_LT(least, 0.8 * whole);
  for (const double factor : {0.9, 1.1}) EXPECT_GT(left(bases[1].prediction * factor), least);
  for (unsigned seed = 1; seed <= 3; ++seed)
    EXPECT_GT(left(bases[1].prediction + gaussian(bases[1].prediction.sizes().vec(), seed).to(at::kFloat) * 0.01),
              least);
}

TEST(Chain, LosesLessThanLayersByThemselvesAtTheSameBytes) {
  const PlannedPlan& alone = madePlan("coded-joint", 0.0625).planned;
  const PlannedPlan& chained = madePlan("coded-chain", 0.0625).planned;
  EXPECT_LE(chained.achievedBytes, alone.requestedBytes);
  EXPECT_LT(*chained.predictedLoss, 0.9 * *alone.predictedLoss);
  // By how much tokens' losses change; their mean hardly does on so little text.
  const at::Tensor ids = demoWindows(8).ids, whole = valueOf(shortDecoder().tokenLosses(ids, nullptr, {}));
  const auto change = [&](const char* method) {
    const auto& [made, factors] = madePlan(method, 0.0625);
    const PlanTransform transform(made.plan, factors, shortDecoder().shape(), at::kCPU);
    return (valueOf(shortDecoder().tokenLosses(ids, &transform, {})) - whole).square().mean().item<double>();
  };
  EXPECT_LT(change("coded-chain"), change("coded-joint"));
}

TEST(Chain, AChainOfOneIsNone) {
  PlanRequest request = codedChain(0.125);
  request.chain = 1;
  request.trellis = false;
  CompressionPlan plan = planned(request).plan;
  plan.method = "coded-joint";
  EXPECT_EQ(plan, madePlan("coded-joint", 0.125, false).planned.plan);
}

TEST(Chain, TextThatIsReadInPartsIsStoredAlike) {
  const auto& [made, factors] = madePlan("coded-chain", 0.125);
  const PlanTransform transform(made.plan, factors, shortDecoder().shape(), at::kCPU);
  const at::Tensor ids = demoWindows(2).ids.narrow(1, 0, 40);
  LiveCache whole, parts;
  const at::Tensor expected = valueOf(shortDecoder().extend(ids, whole, &transform, {}));
  valueOf(shortDecoder().extend(ids.narrow(1, 0, 23), parts, &transform, {}));
  const at::Tensor last = valueOf(shortDecoder().extend(ids.narrow(1, 23, 17), parts, &transform, {}));
  EXPECT_LE(relativeDifference(last.to(at::kDouble), expected.narrow(1, 23, 17).to(at::kDouble)), 1e-4);
}

TEST(Chain, APlanIsReadAsItWasWritten) {
  const CompressionPlan& plan = madePlan("coded-chain", 0.125).planned.plan;
  EXPECT_EQ(valueOf(planFromJson(toJson(plan))), plan);
  CompressionPlan alone = plan;
  alone.chain = 1;
  EXPECT_NE(fingerprint(plan), fingerprint(alone));
  CompressionPlan other = plan;
  other.groups.front().widths.front() = 1;
  EXPECT_NE(layerFingerprint(plan, 1), layerFingerprint(other, 1)) << "what layer 1 stores hangs on layer 0";
  alone = plan;
  alone.tokenNumbers = false;
  EXPECT_NE(layerFingerprint(plan, 1), layerFingerprint(alone, 1));
}

TEST(Chain, RefusesWhatOneLatentALayerIsNot) {
  const ModelShape& shape = shortDecoder().shape();
  CompressionPlan split = planned(requestOf("coded-head", 0.5)).plan;
  EXPECT_THAT(validate(split, shape), IsEmpty());
  split.chain = 2;
  EXPECT_THAT(validate(split, shape), Contains(HasSubstr("does not hold all 16 heads of one layer")));
  PlanRequest grouped = requestOf("coded-chain", 0.25);
  grouped.groupSize = 2;
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), grouped, {})).message,
              HasSubstr("all heads of a layer in one latent"));
  PlanRequest lowRank = requestOf("joint", 0.25);
  lowRank.chain = 2;
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), lowRank, {})).message,
              HasSubstr("stores no codes, so that --chain (in an experiment chain) has no meaning"));
  lowRank.chain.reset();
  lowRank.tokenNumbers = true;
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), lowRank, {})).message,
              HasSubstr("stores no codes, so that --token-numbers (in an experiment tokenNumbers) has no meaning"));
}

TEST(TokenNumbers, TakeFourBytesAndLoseNothingOfTheFirstLayer) {
  const auto& [made, factors] = madePlan("coded-chain", 0.125);
  const CompressionPlan& plan = made.plan;
  ASSERT_TRUE(plan.tokenNumbers);
  EXPECT_EQ(plan.groups[0].rank(), 0);
  EXPECT_EQ(bytesPerToken(plan), kTokenNumberBytes + plan.groups[1].storedBytes());
  EXPECT_LE(made.achievedBytes, made.requestedBytes);
  EXPECT_EQ(made.requestedBytes, chainOfCodes().requestedBytes);
  const PlanTransform transform(plan, factors, shortDecoder().shape(), at::kCPU);
  const KeyValues first = outputs(1), second = outputs(3);
  EXPECT_EQ(largestDifference(both(transform.beforeRope(0, first)), both(first)), 0);
  const at::Tensor after = both(transform.beforeRope(1, second)),
                   foreseen = at::matmul(both(first), factors[1].prediction.t());
  const at::Tensor coded =
      foreseen + rebuiltFrom(codeAndDecode(latentOf(both(second) - foreseen, factors[1]), factors[1]), factors[1]);
  const std::int64_t exact = plan.exactTokens;
  EXPECT_LE(largestDifference(after.narrow(1, exact, 9 - exact), coded.narrow(1, exact, 9 - exact)), 1e-5);
}

TEST(TokenNumbers, PredictEachLayerThatBeginsAChain) {
  CompressionPlan plan;
  plan.tokenNumbers = true;
  for (int layer = 1; layer < 4; ++layer) EXPECT_EQ(predictedFrom(plan, layer), 0);
  plan.chain = 2;
  EXPECT_EQ(predictedFrom(plan, 0), std::nullopt);
  EXPECT_EQ(predictedFrom(plan, 2), 0);
  EXPECT_EQ(predictedFrom(plan, 3), 2);
  plan.tokenNumbers = false;
  EXPECT_EQ(predictedFrom(plan, 2), std::nullopt);
  EXPECT_EQ(predictedFrom(plan, 3), 2);
}

TEST(TokenNumbers, AreAsExactAsTheModelIsAFunctionOfTheToken) {
  // What the demo's first layer puts out for a token is the same wherever it stands.
  const at::Tensor ids = demoWindows(2).ids.narrow(1, 0, 12);
  struct Seen final : CacheTransform {
    KeyValues beforeRope(int layer, KeyValues raw) const override {
      if (layer == 0) outputs = both(raw);
      return raw;
    }
    at::Tensor afterRope(int, at::Tensor keys) const override { return keys; }
    mutable at::Tensor outputs;
  } here, turned;
  valueOf(shortDecoder().tokenLosses(ids, &here, {}));
  valueOf(shortDecoder().tokenLosses(ids.flip(1), &turned, {}));
  EXPECT_LE(largestDifference(here.outputs, turned.outputs.flip(1)), 1e-5);
}

TEST(TokenNumbers, LoseLessThanACodedFirstLayer) {
  PlanRequest request = requestOf("coded-joint", 0.0625);
  request.tokenNumbers = true;
  const PlannedPlan numbered = planned(request);
  EXPECT_EQ(numbered.plan.chain, 1);
  EXPECT_LT(*numbered.predictedLoss, 0.8 * *madePlan("coded-joint", 0.0625, false).planned.predictedLoss);
  EXPECT_LT(*madePlan("coded-chain", 0.0625).planned.predictedLoss, 0.9 * *planned(codedChain(0.0625)).predictedLoss);
}

TEST(TokenNumbers, LeaveNothingLockedInAPlanThatHasNone) {
  PlanRequest request = requestOf("joint", 0.25);
  request.manual = madePlan("coded-chain", 0.125).planned.plan;
  const CompressionPlan plan = planned(request).plan;
  EXPECT_FALSE(plan.tokenNumbers);
  EXPECT_FALSE(plan.groups[0].locked);
  EXPECT_GT(plan.groups[0].rank(), 0);
}

TEST(TokenNumbers, AreRefusedWhereTheFirstLayerStoresMore) {
  CompressionPlan plan = madePlan("coded-chain", 0.125).planned.plan;
  plan.groups[0].widths.front() = 2;
  EXPECT_THAT(validate(plan, shortDecoder().shape()),
              Contains(HasSubstr("Group 0 stores 1 directions of layer 0, which stores the numbers of tokens")));
  PlanRequest request = requestOf("coded-joint", 0.125);
  request.tokenNumbers = true;
  request.centred = true;
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).message,
              HasSubstr("predicts layers from others"));
  request.centred = false;
  request.method = "coded-head";
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).hint, HasSubstr("--token-numbers"));
}

TEST(Trellis, TheSamePlanLosesLessAtTheSameBytes) {
  PlanRequest request = requestOf("coded-joint", 0.0625);
  const PlanWithSpectra alone = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {}));
  request.trellis = true;
  const PlanWithSpectra through = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {}));
  const CompressionPlan& plan = through.planned.plan;
  EXPECT_TRUE(plan.trellis);
  EXPECT_LE(through.planned.achievedBytes, alone.planned.requestedBytes);
  EXPECT_LT(*through.planned.predictedLoss, 0.9 * *alone.planned.predictedLoss);
  EXPECT_EQ(valueOf(planFromJson(toJson(plan))), plan);
  CompressionPlan without = plan;
  without.trellis = false;
  EXPECT_NE(fingerprint(plan), fingerprint(without));
  without.storage = Storage::lowRank16;
  without.trellis = true;
  EXPECT_THAT(validate(without, shortDecoder().shape()), Contains(HasSubstr("it stores no codes")));
  request.method = "joint";
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).message, HasSubstr("stores no codes"));
}

}  // namespace
}  // namespace kvista::test
