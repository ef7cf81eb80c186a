// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/planner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/unit/compress/plan_request.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

PlannedPlan planned(const PlanRequest& request, const Statistics* statistics = &shortStatistics()) {
  return valueOf(makePlan(shortDecoder(), statistics, request, {})).planned;
}

PlanFactors factorsOf(const CompressionPlan& plan) {
  return valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
}

Error refused(const PlanRequest& request, const Statistics* statistics = &shortStatistics()) {
  const Error error = errorOf(makePlan(shortDecoder(), statistics, request, {}));
  EXPECT_EQ(error.code, ErrorCode::invalidArgument) << error.message;
  EXPECT_THAT(error.message, ::testing::EndsWith("."));
  return error;
}

/// The usual quarter of the cache, or more where half of it stays as it is.
double shareFor(const std::string& method) {
  const Method& known = *valueOf(findMethod(method));
  return known.grouping == "values" ? 0.75 : known.sharesLayers ? 0.5 : 0.25;
}

class EveryMethod : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Method, EveryMethod, ::testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const Method& method : methods()) names.emplace_back(method.name);
                           return names;
                         }()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(EveryMethod, MakesSoundPlansAtEveryTarget) {
  const Method& method = *valueOf(findMethod(GetParam()));
  const ModelShape& shape = shortDecoder().shape();
  std::optional<double> lossBefore;
  for (const double share : {0.5, 1.0 / 4, 1.0 / 8, 1.0 / 16}) {
    SCOPED_TRACE(share);
    const PlanRequest request = requestOf(GetParam(), share);
    if (method.storage == Storage::plainQuantised && share < 0.17) {
      EXPECT_THAT(refused(request).message, HasSubstr("but the method plain stores"));
      continue;
    }
    if (method.sharesHeads && share < 1.0 / shape.kvHeads) {
      const std::string reason =
          method.grouping == "common-key"
              ? "but the method mla stores 144 at least"
              : fmt::format("but the method {} stores 256 with one head for every 8", method.name);
      EXPECT_THAT(refused(request).message, HasSubstr(reason));
      continue;
    }
    if (method.grouping == "values" && share <= 0.5) {
      EXPECT_THAT(refused(request).message,
                  HasSubstr(fmt::format("but the method values stores {} at least",
                                        shape.cacheBytesPerToken() / 2 + 2 * method.rankStep)));
      continue;
    }
    if (method.sharesLayers && share < 0.5) {
      EXPECT_THAT(refused(request).message, HasSubstr("one layer with its own cache takes 1024"));
      continue;
    }
    const PlannedPlan& result = madePlan(GetParam(), share, false).planned;
    const CompressionPlan& plan = result.plan;
    EXPECT_THAT(validate(plan, shape), IsEmpty());
    EXPECT_EQ(plan.method, method.name);
    EXPECT_EQ(plan.storage, method.storage);
    EXPECT_EQ(plan.target, request.target);
    EXPECT_EQ(result.requestedBytes,
              static_cast<std::int64_t>(static_cast<double>(shape.cacheBytesPerToken()) * share));
    EXPECT_EQ(result.achievedBytes, bytesPerToken(plan));
    if (result.note.empty()) {
      EXPECT_LE(result.achievedBytes, result.requestedBytes);
    }
    // Of those that store directions.
    const double ofLayers = plan.tokenNumbers ? share * shape.layers / (shape.layers - 1) : share;
    // At a half all directions that vary have all bits.
    if (method.storage != Storage::plainQuantised && ofLayers <= 0.25) {
      const auto step = std::max<std::int64_t>(2 * plan.rankStep, 8);
      EXPECT_GE(result.achievedBytes, result.requestedBytes - static_cast<std::int64_t>(plan.groups.size()) * step);
    }
    if (method.storage == Storage::plainQuantised || method.sharesLayers) {
      EXPECT_FALSE(result.predictedLoss);
      continue;
    }
    ASSERT_TRUE(result.predictedLoss);
    EXPECT_GE(*result.predictedLoss, 0);
    if (lossBefore) {
      EXPECT_GE(*result.predictedLoss,
                *lossBefore * (1 - 1e-6));  // All bits at both shares: chains come to them in other turns.
    }
    lossBefore = result.predictedLoss;
    EXPECT_FALSE(result.correctedLoss);  // nothing was measured
    EXPECT_EQ(result.cost.bytesPerToken, result.achievedBytes);
  }
}

TEST_P(EveryMethod, FactorsAreOfThePlansShape) {
  const auto& [result, factors] = madePlan(GetParam(), shareFor(GetParam()));
  ASSERT_EQ(factors.size(), result.plan.groups.size());
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const Group& group = result.plan.groups[i];
    const GroupFactors& factor = factors[i];
    if (result.plan.storage == Storage::plainQuantised || group.isUncompressed()) {
      EXPECT_TRUE(factor.isIdentity());
      continue;
    }
    const auto n = static_cast<std::int64_t>(group.widths.size());
    const std::int64_t r = group.rank();
    ASSERT_EQ(static_cast<std::int64_t>(factor.widths.size()), r);
    EXPECT_EQ(factor.up.sizes().vec(), (std::vector<std::int64_t>{n, r}));
    EXPECT_EQ(factor.down.sizes().vec(), (std::vector<std::int64_t>{r, n}));
    ASSERT_EQ(factor.steps.size(0), r);
    EXPECT_TRUE(std::is_sorted(factor.widths.rbegin(), factor.widths.rend()));
    EXPECT_EQ(storedBytes(factor.widths), group.storedBytes());
    for (std::int64_t k = 0; k < r; ++k) {
      const int width = factor.widths[static_cast<std::size_t>(k)];
      EXPECT_GT(width, 0);
      EXPECT_EQ(factor.steps[k].item<float>() > 0, width < 16) << "group " << i << " direction " << k;
    }
  }
}

TEST_P(EveryMethod, TheSameTwiceIsTheSameToTheBit) {
  const auto& [first, a] = madePlan(GetParam(), shareFor(GetParam()));
  const PlannedPlan second = planned(requestOf(GetParam(), shareFor(GetParam())));
  EXPECT_EQ(first.plan, second.plan);
  EXPECT_EQ(first.predictedLoss, second.predictedLoss);
  const PlanFactors b = factorsOf(second.plan);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].isIdentity(), b[i].isIdentity());
    EXPECT_EQ(a[i].widths, b[i].widths);
    if (a[i].isIdentity()) continue;
    EXPECT_TRUE(at::equal(a[i].up, b[i].up));
    EXPECT_TRUE(at::equal(a[i].down, b[i].down));
    EXPECT_TRUE(at::equal(a[i].steps, b[i].steps));
  }
}

TEST(Planner, ChangesOfARequestAreTakenOver) {
  PlanRequest request = requestOf("joint", 0.3, Target::Kind::keptFraction);
  request.grouping = "neighbours";
  request.groupSize = 2;
  request.allocator = "uniform";
  request.rankStep = 4;
  request.metric = Metric::identity;
  const PlannedPlan result = planned(request);
  EXPECT_EQ(result.plan.groups.size(), 2U * (4 + 1));  // pairs of key heads, all values together
  EXPECT_EQ(result.plan.metric, Metric::identity);
  EXPECT_EQ(result.plan.allocator, "uniform");
  EXPECT_EQ(result.plan.rankStep, 4);
  EXPECT_NEAR(keptFraction(result.plan, shortDecoder().shape()), 0.3, 0.02);
  for (const Group& group : result.plan.groups) EXPECT_EQ(group.rank() % 4, 0);
}

TEST(Planner, WhatThePlanWasDecomposedIntoGivesTheSameFactorsWithoutStatistics) {
  for (const char* method : {"joint", "coded", "coded-head"}) {
    SCOPED_TRACE(method);
    PlanRequest request =
        requestOf(method, 0.25, std::string_view(method) == "joint" ? Target::Kind::keptFraction : Target::Kind::share);
    EXPECT_TRUE(valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).bases.empty());
    request.keepBases = true;
    const PlanWithSpectra made = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {}));
    const CompressionPlan& plan = made.planned.plan;
    ASSERT_EQ(made.bases.size(), plan.groups.size());
    Statistics forgotten = shortStatistics();
    for (LayerStatistics& layer : forgotten.layers) layer = {};
    const PlanFactors kept = valueOf(makeFactors(shortDecoder(), &forgotten, plan, {}, {}, made.bases)),
                      anew = factorsOf(plan);
    for (std::size_t i = 0; i < anew.size(); ++i) {
      ASSERT_EQ(kept[i].isIdentity(), anew[i].isIdentity());
      if (anew[i].isIdentity()) continue;
      EXPECT_TRUE(at::equal(kept[i].up, anew[i].up) && at::equal(kept[i].down, anew[i].down) &&
                  at::equal(kept[i].steps, anew[i].steps));
      EXPECT_EQ(kept[i].widths, anew[i].widths);
    }
  }
}

TEST(Planner, SwapLossLosesNoMoreThanTheGroupingsItStartsFrom) {
  for (const Metric metric : {Metric::fisher, Metric::identity}) {
    const auto keyLoss = [&](const char* grouping) {
      PlanRequest request = requestOf("grouped", 0.25, Target::Kind::keptFraction);
      request.grouping = grouping;
      request.metric = metric;
      const PlanWithSpectra made = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {}));
      EXPECT_EQ(made.planned.plan.grouping, grouping);
      double loss = 0;
      for (const BudgetUnit& unit : made.units) {
        if (unit.side != 0) continue;
        std::vector<std::uint8_t> widths(128, 0);
        std::fill_n(widths.begin(), 32, std::uint8_t{16});  // a quarter
        loss += predictedLoss(unit.spectrum, widths);
      }
      return loss;
    };
    const double loss = keyLoss("swap-loss");
    EXPECT_GT(loss, 0);
    EXPECT_LE(loss, keyLoss("greedy") * (1 + 1e-9));
    EXPECT_LE(loss, keyLoss("neighbours") * (1 + 1e-9));
    EXPECT_LE(loss, keyLoss("swap") * 1.02);  // both are local optima, and this one looks at what counts
  }
  PlanRequest open = requestOf("joint", 0.02, Target::Kind::maxLoss);
  open.grouping = "swap-loss";
  EXPECT_THAT(refused(open).message, HasSubstr("which an allowed loss leaves open"));
}

TEST(Planner, RanksStayWithinWhatIsAskedFor) {
  for (const Allocator& allocator : allocators()) {
    for (const char* method : {"grouped", "coded"}) {
      if ((allocator.name == "fisher_uniform" || allocator.name == "head-mean") && method == std::string("coded"))
        continue;  // hands out ranks only
      SCOPED_TRACE(fmt::format("{} {}", allocator.name, method));
      PlanRequest request = requestOf(method, 0.3);
      request.grouping = "swap";
      request.allocator = allocator.name;
      request.rankStep = 8;
      request.minimumRank = 24;
      request.maximumRank = 44;
      const CompressionPlan plan = planned(request).plan;
      for (const Group& group : plan.groups) {
        EXPECT_GE(group.rank(), 24);
        EXPECT_LE(group.rank(), 44);
        for (std::size_t i = 44; i < group.widths.size(); ++i) EXPECT_EQ(group.widths[i], 0);
      }
    }
  }
}

TEST(Planner, RefusesRanksThatCannotBe) {
  const auto message = [](const char* method, std::optional<int> least, std::optional<int> most, double share = 0.25) {
    PlanRequest request = requestOf(method, share);
    request.minimumRank = least;
    request.maximumRank = most;
    return refused(request).message;
  };
  EXPECT_THAT(message("joint", 64, 32), HasSubstr("Ranks from 64 to 32 are not possible"));
  EXPECT_THAT(message("joint", {}, 0), HasSubstr("Ranks from 0 to 0 are not possible"));
  EXPECT_THAT(message("joint", -1, {}), HasSubstr("Ranks from -1 to all are not possible"));
  EXPECT_THAT(message("plain", 8, {}), HasSubstr("The method plain has no ranks"));
  EXPECT_THAT(message("coded-head", 33, {}),
              HasSubstr("A smallest rank of 33 is more than the 32 directions of a group in layer 0"));
  EXPECT_EQ(
      message("joint", 300, {}),
      "A rank of at least 300 in each of 2 groups takes 1216 bytes a token with all that is locked; 512 were given.");
}

TEST(Planner, AnAllowedLossIsKeptWithAsFewBytesAsPossible) {
  for (const char* method : {"coded-joint", "joint"}) {
    SCOPED_TRACE(method);
    const PlannedPlan result = planned(requestOf(method, 0.02, Target::Kind::maxLoss));
    ASSERT_TRUE(result.predictedLoss);
    EXPECT_LE(*result.predictedLoss, std::log1p(0.02));
    const auto fewer = static_cast<double>(result.requestedBytes - 1);
    EXPECT_GT(*planned(requestOf(method, fewer, Target::Kind::bytesPerToken)).predictedLoss, std::log1p(0.02));
    EXPECT_LT(planned(requestOf(method, 0.2, Target::Kind::maxLoss)).achievedBytes, result.achievedBytes);
  }
}

TEST(Planner, MeasuredPointsCorrectThePredictionAndTheAllowedLoss) {
  Statistics measured = shortStatistics();
  measured.response.emplace(Storage::coded, ResponseCurve({{0.001, 0.002}, {1, 2}}));  // twice what is predicted
  const PlannedPlan share = planned(requestOf("coded-joint", 0.125), &measured);
  EXPECT_NEAR(*share.correctedLoss, 2 * *share.predictedLoss, 1e-9);
  const PlannedPlan allowed = planned(requestOf("coded-joint", 0.05, Target::Kind::maxLoss), &measured);
  EXPECT_LE(*allowed.correctedLoss, std::log1p(0.05) + 1e-9);
  EXPECT_GT(*allowed.correctedLoss, 0.9 * std::log1p(0.05));
  EXPECT_FALSE(planned(requestOf("joint", 0.5), &measured).correctedLoss);  // of another way of storing
}

TEST(Planner, LockedGroupsOfAManualPlanStay) {
  PlanRequest request = requestOf("coded-joint", 0.125);
  request.manual = planned(request).plan;
  Group& first = request.manual->groups.front();
  std::ranges::fill(first.widths, std::uint8_t{1});
  first.locked = true;
  const PlannedPlan result = planned(request);
  EXPECT_EQ(result.plan.groups.front(), first);
  EXPECT_LE(result.achievedBytes, result.requestedBytes);
  EXPECT_GT(result.plan.groups.back().storedBytes(), first.storedBytes());
}

TEST(Planner, RefusesInOneSentence) {
  EXPECT_THAT(refused(requestOf("coded", 0.3, Target::Kind::keptFraction)).message,
              HasSubstr("16-bit numbers, and this plan stores codes"));
  EXPECT_THAT(refused(requestOf("coded", 0)).message, HasSubstr("A target of 0 is not possible"));
  EXPECT_THAT(refused(requestOf("joint", 1.5)).message, HasSubstr("A target of 1.5 is not possible"));
  EXPECT_THAT(refused(requestOf("joint", std::nan(""))).message, HasSubstr("is not possible"));
  EXPECT_THAT(refused(requestOf("joint", -1, Target::Kind::bytesPerToken)).message, HasSubstr("must be above 0"));
  const Error method = refused(requestOf("cubist", 0.5));
  EXPECT_THAT(method.message, HasSubstr("no method \"cubist\""));
  EXPECT_THAT(method.hint, HasSubstr("coded-joint"));
  for (const char* name : {"recalkv", "kvsharer"}) {
    const Error lossless = refused(requestOf(name, 0.1, Target::Kind::maxLoss));
    EXPECT_THAT(lossless.message, HasSubstr(std::string("The method ") + name + " predicts no loss"));
    EXPECT_THAT(lossless.hint, HasSubstr("Give a size instead"));
  }
  EXPECT_THAT(refused(requestOf("joint", 0.5), nullptr).message, HasSubstr("joint needs statistics"));

  const auto changed = [](const std::function<void(PlanRequest&)>& change) {
    PlanRequest request = requestOf("joint", 0.5);
    change(request);
    return refused(request).message;
  };
  EXPECT_THAT(changed([](PlanRequest& request) { request.grouping = "circles"; }), HasSubstr("circles"));
  EXPECT_THAT(changed([](PlanRequest& request) { request.allocator = "dice"; }),
              HasSubstr("There is no allocator 'dice'"));
  EXPECT_THAT(changed([](PlanRequest& request) { request.device = "abacus"; }), HasSubstr("abacus"));
  EXPECT_THAT(changed([](PlanRequest& request) { request.rankStep = 0; }), HasSubstr("A rank step of 0"));
  EXPECT_THAT(changed([](PlanRequest& request) { request.groupSize = 0; }), HasSubstr("A group of 0 heads"));
}

TEST(Planner, RefusesStatisticsThatDoNotServe) {
  Statistics other = shortStatistics();
  other.shape.kvHeads = 4;
  EXPECT_THAT(refused(requestOf("joint", 0.5), &other).message,
              HasSubstr("2 layers and 4 KV heads of 32; this one is llama with 2 and 8 of 32"));
  Statistics plain = shortStatistics();
  plain.gradients = false;
  for (LayerStatistics& layer : plain.layers)
    layer.fisherKeys = layer.fisherValues = layer.fisherRotatedKeys = at::Tensor();
  EXPECT_THAT(refused(requestOf("coded", 0.25), &plain).message, HasSubstr("no gradients"));
  EXPECT_THAT(refused(requestOf("coded", 0.05, Target::Kind::maxLoss), &plain).message,
              HasSubstr("only where the loss is predicted"));
  PlanRequest identity = requestOf("joint", 0.25);
  identity.metric = Metric::identity;
  EXPECT_FALSE(planned(identity, &plain).predictedLoss);  // a plan, but nothing to predict with
}

TEST(Planner, WeightsAloneNeedNoStatistics) {
  const PlannedPlan result = planned(requestOf("svd", 0.5), nullptr);
  EXPECT_FALSE(result.predictedLoss);
  const PlanFactors alone = valueOf(makeFactors(shortDecoder(), nullptr, result.plan, {}));
  EXPECT_TRUE(at::equal(alone.front().up, factorsOf(result.plan).front().up));
  EXPECT_TRUE(planned(requestOf("svd", 0.5)).predictedLoss);
}

TEST(Planner, KeysStayWholeWhereOnlyValuesAreCompressed) {
  const PlannedPlan result = planned(requestOf("values", 0.75));
  const int width = shortDecoder().shape().headDim;
  for (const Group& group : result.plan.groups) {
    ASSERT_EQ(group.slots.size(), 1U);
    const bool isKey = group.slots.front().side == Side::key;
    EXPECT_EQ(group.isUncompressed(), isKey);
    EXPECT_EQ(group.locked, isKey);
    EXPECT_EQ(group.rank(), isKey ? width : width / 2);
  }
  EXPECT_EQ(result.achievedBytes * 4, shortDecoder().shape().cacheBytesPerToken() * 3);
}

TEST(Planner, KeysBecomeOneHeadWhereAllShareIt) {
  const PlannedPlan result = planned(requestOf("mla", 0.25));
  const ModelShape& shape = shortDecoder().shape();
  ASSERT_EQ(result.plan.groups.size(), static_cast<std::size_t>(2 * shape.layers));
  for (const Group& group : result.plan.groups) {
    EXPECT_EQ(static_cast<int>(group.slots.size()), shape.kvHeads);
    const bool isKey = group.slots.front().side == Side::key;
    EXPECT_EQ(group.locked, isKey);
    EXPECT_EQ(group.rank(), isKey ? shape.headDim : shape.valueWidth() / 2 - shape.headDim);
  }
  const PlanFactors factors = factorsOf(result.plan);
  const auto predicted = valueOf(predictLoss(shortDecoder(), shortStatistics(), result.plan, factors, {}));
  ASSERT_TRUE(predicted && result.predictedLoss);
  EXPECT_NEAR(*predicted / *result.predictedLoss, 1, 1e-6);
}

TEST(Planner, StopsWhenAsked) {
  std::stop_source stop;
  stop.request_stop();
  const Task task{stop.get_token(), {}};
  EXPECT_EQ(errorOf(makePlan(shortDecoder(), &shortStatistics(), requestOf("joint", 0.5), task)).code,
            ErrorCode::cancelled);
  const CompressionPlan plan = planned(requestOf("joint", 0.5)).plan;
  EXPECT_EQ(errorOf(makeFactors(shortDecoder(), &shortStatistics(), plan, task)).code, ErrorCode::cancelled);
}

TEST(MakeFactors, RefusesAPlanThatDoesNotFit) {
  CompressionPlan plan = planned(requestOf("joint", 0.5)).plan;
  EXPECT_THAT(errorOf(makeFactors(shortDecoder(), nullptr, plan, {})).message, HasSubstr("none were given"));
  plan.groups.pop_back();
  EXPECT_THAT(errorOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {})).message,
              HasSubstr("does not fit the model"));
}

TEST(PredictLoss, IsTheAllocationsPredictionWithTheFisherMetric) {
  for (const char* method : {"joint", "separate", "grouped"}) {
    const PlannedPlan result = planned(requestOf(method, 0.3));
    const auto predicted =
        valueOf(predictLoss(shortDecoder(), shortStatistics(), result.plan, factorsOf(result.plan), {}));
    ASSERT_TRUE(predicted) << method;
    EXPECT_NEAR(*predicted / *result.predictedLoss, 1, 1e-3) << method;
  }
}

TEST(PredictLoss, NoOtherMetricLosesLessAtTheSameRanks) {
  const PlannedPlan result = planned(requestOf("separate", 0.3));
  CompressionPlan plain = result.plan;
  plain.metric = Metric::identity;
  const auto predicted = valueOf(predictLoss(shortDecoder(), shortStatistics(), plain, factorsOf(plain), {}));
  EXPECT_GT(*predicted, *result.predictedLoss);
}

}  // namespace
}  // namespace kvista::test
