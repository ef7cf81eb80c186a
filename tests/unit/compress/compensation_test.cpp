// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/compensation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Of 300 windows, with 40 others held out: with fewer tokens the regression fits noise.
const Statistics& statistics() {
  static const Statistics made = [] {
    Statistics statistics = statisticsOf(shortDecoder(), demoWindows(300));
    statistics.heldOutIds = demoWindows(40, 300).ids.to(at::kInt);
    return statistics;
  }();
  return made;
}

PlanRequest requestOf(const std::string& method, double share) {
  PlanRequest request;
  request.method = method;
  request.target = {Target::Kind::share, share};
  request.compensate = true;
  return request;
}

PlanWithSpectra planned(const PlanRequest& request, const Statistics& of = statistics()) {
  return valueOf(makePlan(shortDecoder(), &of, request, {}));
}

/// Mean nats a predicted token of the held-out text.
double heldOutLoss(const CompressionPlan& plan, const PlanFactors& factors) {
  const PlanTransform transform(plan, factors, shortDecoder().shape(), at::kCPU);
  return valueOf(shortDecoder().tokenLosses(statistics().heldOutIds.to(at::kLong), &transform, {}))
      .mean()
      .item<double>();
}

class Compensation : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(Plans, Compensation,
                         ::testing::Values(std::pair("joint", ""), std::pair("separate", ""),
                                           std::pair("joint", "swap"), std::pair("separate", "head"),
                                           std::pair("coded-joint", ""), std::pair("coded", "neighbours")));

TEST_P(Compensation, IsTakenWhereItHelpsOnHeldOutTextAndSaidInTheNote) {
  PlanRequest request =
      requestOf(GetParam().first, std::string_view(GetParam().first).starts_with("coded") ? 1.0 / 16 : 0.2);
  if (*GetParam().second) request.grouping = GetParam().second;
  const PlanWithSpectra made = planned(request);
  const CompressionPlan& plan = made.planned.plan;
  CompressionPlan other = plan;
  other.compensated = !plan.compensated;
  const PlanFactors chosen = valueOf(makeFactors(shortDecoder(), &statistics(), plan, {}));
  const PlanFactors left = valueOf(makeFactors(shortDecoder(), &statistics(), other, {}));
  const double with = heldOutLoss(plan, chosen), without = heldOutLoss(other, left);
  EXPECT_EQ(validate(plan, shortDecoder().shape()), std::vector<std::string>());
  if (!plan.compensated) {
    EXPECT_THAT(made.planned.note, HasSubstr("Compensation was left out: it does not help here"));
    return;
  }
  EXPECT_LT(with, without);
  EXPECT_THAT(
      made.planned.note,
      HasSubstr(fmt::format("Compensated: {:.4f} nats a token on held-out text instead of {:.4f}.", with, without)));
  // What the plan was compared with is what it computes with.
  const PlanFactors kept = valueOf(makeFactors(shortDecoder(), &statistics(), made, {}));
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i].isIdentity()) continue;
    EXPECT_TRUE(at::equal(kept[i].up, chosen[i].up) && at::equal(kept[i].down, chosen[i].down) &&
                at::equal(kept[i].steps, chosen[i].steps));
  }
}

TEST(CompensatedPlan, ChangesNothingBeforeTheFirstCompressedLayer) {
  PlanRequest request = requestOf("joint", 0.2);
  request.compensate = false;
  CompressionPlan plan = planned(request).planned.plan;
  const PlanFactors plain = valueOf(makeFactors(shortDecoder(), &statistics(), plan, {}));
  plan.compensated = true;
  const PlanFactors compensated = valueOf(makeFactors(shortDecoder(), &statistics(), plan, {}));
  const auto difference = [&](std::size_t group) {
    return relativeDifference(at::matmul(compensated[group].up, compensated[group].down),
                              at::matmul(plain[group].up, plain[group].down));
  };
  ASSERT_EQ(plan.groups.size(), 2U);
  EXPECT_LE(difference(0), 1e-3);
  EXPECT_GT(difference(1), 5e-3);
}

TEST(CompensatedPlan, IsTakenOnlyForGainsBeyondChance) {
  // Student's quantiles of 95 %: 2.920 of 2 degrees of freedom, 1.895 of 7, 1.670 of 63. Gains of mean m and deviation
  // 1:
  const auto gains = [](std::size_t windows, double t) {
    std::vector<double> all(windows);
    for (std::size_t i = 0; i < windows; ++i) all[i] = static_cast<double>(i) - static_cast<double>(windows - 1) / 2;
    double squares = 0;
    for (const double gain : all) squares += gain * gain;
    const double count = static_cast<double>(windows), error = std::sqrt(squares / (count - 1) / count);
    for (double& gain : all) gain += t * error;
    return all;
  };
  for (const auto& [windows, quantile] :
       {std::pair{std::size_t{3}, 2.920}, {std::size_t{8}, 1.895}, {std::size_t{64}, 1.669}}) {
    EXPECT_TRUE(isBeyondChance(gains(windows, quantile * 1.03))) << windows;
    EXPECT_FALSE(isBeyondChance(gains(windows, quantile * 0.97))) << windows;
    EXPECT_FALSE(isBeyondChance(gains(windows, -3 * quantile))) << windows;
  }
  EXPECT_FALSE(isBeyondChance({})) << "nothing is known";
  EXPECT_FALSE(isBeyondChance({5})) << "one window says nothing of chance";
  EXPECT_FALSE(isBeyondChance({0, 0, 0}));
}

TEST(CompensatedPlan, IsLeftOutWhereNothingIsLost) {
  const PlanWithSpectra made = planned(requestOf("joint", 1));
  EXPECT_FALSE(made.planned.plan.compensated);
  EXPECT_THAT(made.planned.note, HasSubstr("Compensation was left out: it does not help here"));
}

TEST(CompensatedPlan, RefusesInOneSentence) {
  const auto refused = [](const PlanRequest& request, const Statistics* of) {
    const Error error = errorOf(makePlan(shortDecoder(), of, request, {}));
    EXPECT_EQ(error.code, ErrorCode::invalidArgument);
    return error.message;
  };
  EXPECT_EQ(refused(requestOf("coded-head", 0.25), &statistics()),
            "The method coded-head cannot be compensated: it compresses keys after RoPE, which are no linear function "
            "of what comes in.");
  EXPECT_THAT(refused(requestOf("plain", 0.25), &statistics()),
              StartsWith("The method plain cannot be compensated: it has no latent"));
  EXPECT_THAT(refused(requestOf("recalkv", 0.25), &statistics()), HasSubstr("in a way of its own"));
  EXPECT_EQ(refused(requestOf("joint", 0.25), &shortStatistics()),
            "Compensation is compared on text that calibration held out, and these statistics hold none.");
  EXPECT_EQ(refused(requestOf("svd", 0.25), nullptr), "Compensation needs statistics of the model.");
}

}  // namespace
}  // namespace kvista::test
