// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What the published systems are asked for beside a budget: rank steps, eps, layers that share.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/plan/head_mean.h"
#include "tests/unit/compress/plan_request.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using ::testing::HasSubstr;

CompressionPlan planned(const PlanRequest& request) {
  return valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned.plan;
}

TEST(KvSharer, APassOfTheDecoderBeginsWithNothingOfAnEarlierOne) {
  CompressionPlan plan;
  plan.sharedFrom = {0, 0};
  const PlanTransform transform(plan, {}, shortDecoder().shape(), at::kCPU);
  const at::Tensor ids = shortStatistics().tokenIds.narrow(0, 0, 2).to(at::kLong);
  const at::Tensor expected = valueOf(shortDecoder().forward(ids, &transform, {}, false, {})).hiddenLast;
  // And stopped.
  transform.beforeRope(0, {gaussian({2, 64, 256}, 1).to(at::kFloat), gaussian({2, 64, 256}, 2).to(at::kFloat)});
  EXPECT_EQ(largestDifference(valueOf(shortDecoder().forward(ids, &transform, {}, false, {})).hiddenLast, expected), 0);
}

TEST(RankStep, LeavesNarrowHeadsAChoiceOfRanks) {
  ModelShape shape = shortDecoder().shape();
  const auto stepOf = [&](const char* method, int width) {
    shape.headDim = shape.valueHeadDim = width;
    return fittingRankStep(*valueOf(findMethod(method)), shape);
  };
  EXPECT_EQ(stepOf("kqsvd", 128), 16);
  EXPECT_EQ(stepOf("kqsvd", 64), 16);
  EXPECT_EQ(stepOf("kqsvd", 32), 8);
  EXPECT_EQ(stepOf("palu-m", 128), 32);
  EXPECT_EQ(stepOf("palu-m", 32), 8);
  EXPECT_EQ(stepOf("palu-g", 32), 32);  // four heads of 32 together
  EXPECT_EQ(stepOf("coded", 32), 1);
  for (const char* method : {"kqsvd", "palu-m"}) {
    const CompressionPlan plan = planned(requestOf(method, 0.5));
    EXPECT_EQ(plan.rankStep, 8) << method;
    EXPECT_TRUE(std::ranges::any_of(plan.groups, [](const Group& group) {
      return group.rank() > 0 && group.rank() < 32;
    })) << method;
  }
  PlanRequest asked = requestOf("kqsvd", 0.5);
  asked.rankStep = 32;
  EXPECT_EQ(planned(asked).rankStep, 32);
}

TEST(HeadMean, AnEpsIsATargetOfItsOwn) {
  PlanRequest request = requestOf("kqsvd", 1);
  request.allocator = "head-mean";
  request.eps = 0.3;
  const PlanWithSpectra made = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {}));
  EXPECT_LE(*reachedEps(made.planned.plan, made.units), 0.3);
  EXPECT_EQ(made.planned.achievedBytes, made.planned.requestedBytes);
  EXPECT_LT(share(made.planned.plan, shortDecoder().shape()), 1);
  PlanRequest again = request;  // the bytes that it came to lead to the same plan
  again.eps = std::nullopt;
  again.target = made.planned.plan.target;
  EXPECT_EQ(planned(again), made.planned.plan);
  request.allocator = "uniform";
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).message, HasSubstr("knows no eps"));
}

}  // namespace
}  // namespace kvista::test
