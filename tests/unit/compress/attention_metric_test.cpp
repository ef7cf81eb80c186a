// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/attention_metric.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/compress/basis.h"
#include "core/compress/planner.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using ::testing::HasSubstr;

at::Tensor metricOf(KeyPosition position) {
  return valueOf(queryMetric(shortDecoder(), shortStatistics().layers[1], 1, position));
}

TEST(QueryMetric, AfterRopeIsTheSecondMomentOfTheQueries) {
  EXPECT_LE(relativeDifference(metricOf(KeyPosition::afterRope), shortStatistics().layers[1].rotatedQueries), 1e-12);
}

TEST(QueryMetric, LatentAttentionHasNone) {
  const auto folder = std::filesystem::path(KVISTA_SHARED_DIR) / "fixtures/families/deepseek_v2";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "the shared fixtures are not there: no folder " << folder;
  const auto decoder = valueOf(Decoder::load(valueOf(openCheckpoint(folder)), {}, {}));
  const Error of = errorOf(queryMetric(*decoder, {}, 1, KeyPosition::afterRope));
  EXPECT_THAT(of.message, HasSubstr("Layer 1 has latent attention"));
  EXPECT_THAT(of.hint, testing::Not(HasSubstr("calibrate again")));
  EXPECT_THAT(errorOf(queryMetric(shortDecoder(), {}, 1, KeyPosition::afterRope)).hint, HasSubstr("calibrate again"));
}

TEST(QueryMetric, BeforeRopeIsOneWeightForEachRotaryPair) {
  const at::Tensor& queries = shortStatistics().layers[1].rotatedQueries;
  at::Tensor expected = at::zeros_like(queries);
  for (std::int64_t head = 0; head < 8; ++head)
    for (std::int64_t i = 0; i < 32; ++i)
      expected[head][i][i] = (queries[head][i][i] + queries[head][(i + 16) % 32][(i + 16) % 32]) / 2;
  EXPECT_LE(relativeDifference(metricOf(KeyPosition::beforeRope), expected), 1e-9);
}

TEST(QueryMetric, IsTheSameWhateverTheKeyIsRotatedBy) {
  const at::Tensor metric = metricOf(KeyPosition::beforeRope);
  const at::Tensor unit = at::eye(32, at::kFloat).repeat({1, 8});
  for (const std::int64_t position : {1, 7, 40}) {
    const at::Tensor turned =
        shortDecoder().rotateKeys(1, unit, at::full({32}, position, at::kLong), kWindow).select(1, 3).to(at::kDouble);
    EXPECT_LE(relativeDifference(at::matmul(at::matmul(turned, metric[3]), turned.t()), metric[3]), 1e-6);
  }
}

TEST(QueryMetric, ErrorsAreThoseOfScoresAveragedOverRotations) {
  // The mean over one whole turn of a single pair: (q . R(a) e)^2 averages to |q|^2 |e|^2 / 2.
  const at::Tensor& queries = shortStatistics().layers[1].rotatedQueries;
  const at::Tensor pair = at::eye(32, at::kDouble)[0] + 2 * at::eye(32, at::kDouble)[16];  // |e|^2 = 5
  const double expected = 5 * (queries[2][0][0] + queries[2][16][16]).item<double>() / 2;
  EXPECT_NEAR(at::matmul(at::matmul(pair, metricOf(KeyPosition::beforeRope)[2]), pair).item<double>() / expected, 1,
              1e-9);
}

TEST(QueryMetric, RefusesStatisticsWithoutQueries) {
  Statistics older = shortStatistics();
  for (LayerStatistics& layer : older.layers) layer.rotatedQueries = at::Tensor();
  PlanRequest request;
  request.method = "joint";
  request.metric = Metric::query;
  request.target = {Target::Kind::keptFraction, 0.3};
  const Error error = errorOf(makePlan(shortDecoder(), &older, request, {}));
  EXPECT_EQ(error.message,
            "The statistics hold no second moments of queries, which a metric or spectrum of queries needs.");
  EXPECT_THAT(error.hint, HasSubstr("calibrate again"));
}

BasisRequest requestWith(Metric metric, double damping, KeyPosition position = KeyPosition::beforeRope) {
  BasisRequest request;
  request.metric = metric;
  request.damping = damping;
  request.keyPosition = position;
  return request;
}

LayerMoments momentsOf(const BasisRequest& request) {
  return valueOf(LayerMoments::of(shortDecoder(), &shortStatistics(), 1, request));
}

TEST(QueryMetric, EnergiesOfEachSideAreOne) {
  for (const KeyPosition position : {KeyPosition::beforeRope, KeyPosition::afterRope}) {
    const LayerMoments moments = momentsOf(requestWith(Metric::query, 0, position));
    for (const Side side : {Side::key, Side::value}) {
      double energy = 0;
      for (int head = 0; head < 8; ++head) {
        const Slot slot{1, side, head};
        energy += (moments.metricOf(slot) * moments.covarianceOf({slot})).sum().item<double>();
      }
      EXPECT_NEAR(energy, 1, 1e-9);
    }
  }
}

TEST(QueryMetric, LosesLessOfTheScoresThanTheIdentity) {
  // What KQ-SVD measures: the error of all scores of all queries with the keys of a head after RoPE.
  const LayerMoments query = momentsOf(requestWith(Metric::query, 0, KeyPosition::afterRope));
  const LayerMoments plain = momentsOf(requestWith(Metric::identity, 0, KeyPosition::afterRope));
  const std::vector<Slot> head = {{1, Side::key, 5}};
  const auto lostScores = [&](const LayerMoments& moments) {
    const GroupBasis basis = valueOf(moments.decompose(head));
    const at::Tensor lost =
        at::eye(32, at::kDouble) - at::matmul(basis.up.narrow(1, 0, 12), basis.down.narrow(0, 0, 12));
    return (query.metricOf(head[0]) * at::matmul(at::matmul(lost, query.covarianceOf(head)), lost.t()))
        .sum()
        .item<double>();
  };
  EXPECT_LT(lostScores(query), lostScores(plain));
}

TEST(OutputMetric, IsTheErrorBehindTheOutputProjection) {
  // Every query head of a group gets the same error in its values; what each makes of it is squared and added up.
  const at::Tensor weight = shortDecoder().outputWeight(1).to(at::kDouble),
                   metric = valueOf(outputMetric(shortDecoder(), 1));
  ASSERT_EQ(metric.sizes(), at::IntArrayRef({8, 32, 32}));
  const ModelShape& shape = shortDecoder().shape();
  const int share = shape.queryHeads / shape.kvHeads;
  for (const int head : {0, 5}) {
    const at::Tensor error = gaussian({32}, 7U + static_cast<unsigned>(head));
    double expected = 0;
    for (int query = head * share; query < (head + 1) * share; ++query)
      expected += at::matmul(weight.narrow(1, query * 32, 32), error).square().sum().item<double>();
    EXPECT_NEAR(at::matmul(at::matmul(error, metric[head]), error).item<double>() / expected, 1, 1e-9);
  }
}

TEST(OutputMetric, LosesLessOfWhatAttentionHandsOnThanTheIdentity) {
  const LayerMoments output = momentsOf(requestWith(Metric::output, 0)),
                     plain = momentsOf(requestWith(Metric::identity, 0));
  std::vector<Slot> values;
  for (int head = 0; head < 8; ++head) values.push_back({1, Side::value, head});
  const auto lost = [&](const LayerMoments& moments) {
    const GroupBasis basis = valueOf(moments.decompose(values));
    const at::Tensor left =
        at::eye(256, at::kDouble) - at::matmul(basis.up.narrow(1, 0, 96), basis.down.narrow(0, 0, 96));
    const at::Tensor error = at::matmul(at::matmul(left, output.covarianceOf(values)), left.t());
    double sum = 0;
    for (int head = 0; head < 8; ++head)
      sum += (output.metricOf(values[static_cast<std::size_t>(head)]) *
              error.narrow(0, 32 * head, 32).narrow(1, 32 * head, 32))
                 .sum()
                 .item<double>();
    return sum;
  };
  EXPECT_LT(lost(output), lost(plain));
}

TEST(AttentionMetrics, WeighKeysValuesOrBoth) {
  const LayerMoments query = momentsOf(requestWith(Metric::query, 0)),
                     output = momentsOf(requestWith(Metric::output, 0));
  const LayerMoments both = momentsOf(requestWith(Metric::attention, 0));
  const Slot key{1, Side::key, 2}, value{1, Side::value, 2};
  EXPECT_EQ(relativeDifference(both.metricOf(key), query.metricOf(key)), 0);
  EXPECT_EQ(relativeDifference(both.metricOf(value), output.metricOf(value)), 0);
  const auto isMultipleOfIdentity = [](const at::Tensor& metric) {
    return relativeDifference(metric, metric[0][0] * at::eye(32, at::kDouble)) == 0;
  };
  EXPECT_TRUE(isMultipleOfIdentity(output.metricOf(key)));
  EXPECT_TRUE(isMultipleOfIdentity(query.metricOf(value)));
  EXPECT_FALSE(isMultipleOfIdentity(output.metricOf(value)));
}

TEST(AttentionMetrics, OfWeightsAloneNeedNoText) {
  PlanRequest request;
  request.method = "svd";
  request.target = {Target::Kind::keptFraction, 0.3};
  request.metric = Metric::output;
  const PlanWithSpectra made = valueOf(makePlan(shortDecoder(), nullptr, request, {}));
  EXPECT_EQ(made.planned.plan.metric, Metric::output);
  request.metric = Metric::identity;
  EXPECT_NE(made.units[0].spectrum.eigenvalues,
            valueOf(makePlan(shortDecoder(), nullptr, request, {})).units[0].spectrum.eigenvalues);
  for (const auto& [metric, name] :
       {std::pair{Metric::query, "query"}, {Metric::fisher, "fisher"}, {Metric::attention, "attention"}}) {
    request.metric = metric;
    EXPECT_EQ(errorOf(makePlan(shortDecoder(), nullptr, request, {})).message,
              fmt::format("The method svd looks at weights alone; the metric {} needs text.", name));
  }
}

TEST(Damping, AddsAPartOfTheMeanWeight) {
  const LayerMoments plain = momentsOf(requestWith(Metric::fisher, 0)),
                     damped = momentsOf(requestWith(Metric::fisher, 0.03));
  for (const Slot& slot : {Slot{1, Side::key, 4}, Slot{1, Side::value, 0}}) {
    const at::Tensor metric = plain.metricOf(slot);
    const at::Tensor expected = metric + 0.03 * metric.diagonal().mean() * at::eye(32, at::kDouble);
    EXPECT_LE(relativeDifference(damped.metricOf(slot), expected), 1e-12);
  }
}

PlannedPlan planned(const std::string& method, Metric metric, double damping,
                    Target target = {Target::Kind::share, 0.125}) {
  PlanRequest request;
  request.method = method;
  request.metric = metric;
  request.damping = damping;
  request.target = target;
  return valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned;
}

TEST(Damping, IsPartOfThePlanAndItsPredictionStaysThatOfTheLoss) {
  for (const char* method : {"joint", "coded-joint", "coded-head"}) {
    SCOPED_TRACE(method);
    const PlannedPlan plain = planned(method, Metric::fisher, 0), damped = planned(method, Metric::fisher, 0.03);
    EXPECT_EQ(damped.plan.damping, 0.03);
    EXPECT_NE(fingerprint(plain.plan), fingerprint(damped.plan));
    EXPECT_EQ(planFromJson(toJson(damped.plan)).value(), damped.plan);
    ASSERT_TRUE(damped.predictedLoss);
    EXPECT_NEAR(*damped.predictedLoss / *plain.predictedLoss, 1,
                0.35);  // another basis, and Gaussian codes where there are some
  }
  PlanRequest allowed;
  allowed.damping = 0.03;
  allowed.target = {Target::Kind::maxLoss, 0.05};
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), allowed, {})).message,
              HasSubstr("only where the loss is predicted"));
  allowed.damping = 2;
  EXPECT_EQ(errorOf(makePlan(shortDecoder(), &shortStatistics(), allowed, {})).message,
            "A damping of 2 is not possible; it must be 0 to 1.");
}

TEST(SinkFree, BasesLeaveTheFirstTokensOutAndLosesMoreOfThem) {
  PlanRequest request;
  request.method = "joint";
  request.target = {Target::Kind::keptFraction, 0.2};
  const PlanWithSpectra all = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {}));
  request.sinkFree = true;
  const PlanWithSpectra beyond = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {}));
  EXPECT_TRUE(beyond.planned.plan.sinkFree);
  EXPECT_NE(fingerprint(beyond.planned.plan), fingerprint(all.planned.plan));
  EXPECT_EQ(planFromJson(toJson(beyond.planned.plan)).value(), beyond.planned.plan);
  BasisRequest without;
  without.withoutSinks = true;
  const LayerMoments moments = valueOf(LayerMoments::of(shortDecoder(), &shortStatistics(), 0, without));
  EXPECT_EQ(beyond.units[0].spectrum.eigenvalues, valueOf(moments.eigenvalues(beyond.planned.plan.groups[0].slots)));
  ASSERT_TRUE(beyond.planned.predictedLoss);  // of all tokens, the first among them
  EXPECT_GT(*beyond.planned.predictedLoss, *all.planned.predictedLoss);
  request.method = "coded-joint";
  request.target = {Target::Kind::share, 0.125};
  EXPECT_FALSE(valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned.plan.sinkFree)
      << "the first tokens are exact";
  request.method = "svd";
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).message,
              HasSubstr("no tokens to leave out"));
  request.method = "plain";
  EXPECT_EQ(errorOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).message,
            "The method plain has no bases that tokens could be left out of.");
}

TEST(PredictLossOfCodes, IsNearTheAllocationsPrediction) {
  for (const char* method : {"coded-joint", "coded-head"}) {
    const PlannedPlan result = planned(method, Metric::fisher, 0);
    const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), result.plan, {}));
    const auto predicted = valueOf(predictLoss(shortDecoder(), shortStatistics(), result.plan, factors, {}));
    ASSERT_TRUE(predicted);
    EXPECT_NEAR(*predicted / *result.predictedLoss, 1, 0.35) << method;  // fitted steps do better than Gaussian ones
  }
}

TEST(QueryMetric, PlansOfEveryStorageAreMadeAndPredicted) {
  for (const char* method : {"joint", "separate", "coded-joint", "coded-head"}) {
    const PlannedPlan result = planned(method, Metric::query, 0);
    EXPECT_EQ(result.plan.metric, Metric::query);
    ASSERT_TRUE(result.predictedLoss) << method;
    EXPECT_GT(*result.predictedLoss, 0);
  }
}

}  // namespace
}  // namespace kvista::test
