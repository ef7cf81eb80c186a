// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/outer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/compress/basis.h"
#include "core/compress/latent_sequence.h"
#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

/// Outputs [tokens, 2kv] of layer 1 over the text that the short statistics are of, the first tokens of each window
/// left out if asked.
at::Tensor outputs(bool withoutSinks) {
  at::Tensor rows;
  const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
    if (record.layer == 1) rows = at::cat({record.keys, record.values}, -1).to(at::kDouble);
    return {};
  };
  valueOf(shortDecoder().forward(demoWindows(12).ids, nullptr, visitor, false, {}));
  const std::int64_t begin = withoutSinks ? kSinkTokens : 0;
  return rows.narrow(1, begin, rows.size(1) - begin).flatten(0, 1);
}

std::vector<Slot> allSlots() {
  std::vector<Slot> slots;
  for (const Side side : {Side::key, Side::value})
    for (int head = 0; head < 8; ++head) slots.push_back({1, side, head});
  return slots;
}

LayerMoments momentsOf(Metric metric, bool withoutSinks, bool centred) {
  BasisRequest request;
  request.metric = metric;
  request.withoutSinks = withoutSinks;
  request.centred = centred;
  return valueOf(LayerMoments::of(shortDecoder(), &shortStatistics(), 1, request));
}

PlanRequest requestOf(const std::string& method, double share) {
  PlanRequest request;
  request.method = method;
  request.target = {Target::Kind::share, share};
  request.centred = true;
  return request;
}

PlanWithSpectra planned(const PlanRequest& request) {
  return valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {}));
}

double tail(const std::vector<double>& eigenvalues, std::int64_t rank) {
  return std::accumulate(eigenvalues.begin() + rank, eigenvalues.end(), 0.0);
}

TEST(CentredBasis, IsThatOfTheOutputsLessTheirMean) {
  for (const bool withoutSinks : {false, true}) {
    const at::Tensor rows = outputs(withoutSinks), mean = rows.mean(at::IntArrayRef{0}), around = rows - mean;
    const LayerMoments moments = momentsOf(Metric::identity, withoutSinks, true);
    EXPECT_LE(relativeDifference(moments.meanOf(allSlots()), mean), 1e-5);
    EXPECT_LE(
        relativeDifference(moments.covariance(), at::matmul(around.t(), around) / static_cast<double>(rows.size(0))),
        1e-4);
  }
}

TEST(CentredBasis, RebuildsTheMeanFromNothingAndAnOutputFromAllDirections) {
  const std::vector<Slot> slots = {{1, Side::key, 3}, {1, Side::value, 6}};
  const LayerMoments moments = momentsOf(Metric::identity, false, true);
  const GroupBasis basis = valueOf(moments.decompose(slots));
  Group group{slots, std::vector<std::uint8_t>(64, 0), false};
  std::fill_n(group.widths.begin(), 5, std::uint8_t{16});
  const GroupFactors few = factorsOf(basis, group);
  const at::Tensor mean = moments.meanOf(slots).to(at::kFloat);
  EXPECT_LE(latentOf(mean, few).norm().item<double>(), 1e-5 * mean.norm().item<double>());
  EXPECT_LE(relativeDifference(rebuiltFrom(latentOf(mean, few), few), mean), 1e-5);
  std::fill_n(group.widths.begin(), 63, std::uint8_t{16});
  const at::Tensor one = outputs(false)[17].to(at::kFloat),
                   own = at::cat({one.narrow(0, 3 * 32, 32), one.narrow(0, 256 + 6 * 32, 32)});
  const GroupFactors most = factorsOf(basis, group);
  EXPECT_LE(relativeDifference(rebuiltFrom(latentOf(own, most), most), own), 0.02);
}

TEST(CentredBasis, LosesWhatItsEigenvaluesSayAndLessThanOneWithoutAMean) {
  const std::vector<Slot> slots = {{1, Side::key, 2}};
  const at::Tensor rows = outputs(false).narrow(1, 2 * 32, 32);
  const auto lost = [&](bool centred, std::int64_t rank) {
    const LayerMoments moments = momentsOf(Metric::identity, false, centred);
    const GroupBasis basis = valueOf(moments.decompose(slots));
    Group group{slots, std::vector<std::uint8_t>(32, 0), false};
    std::fill_n(group.widths.begin(), rank, std::uint8_t{16});
    GroupFactors factors = factorsOf(basis, group);
    for (const auto& [name, tensor] : kFactorTensors)
      if ((factors.*tensor).defined()) factors.*tensor = (factors.*tensor).to(at::kDouble);
    const double measured =
        (rows - rebuiltFrom(latentOf(rows, factors), factors)).square().sum(1).mean().item<double>();
    EXPECT_NEAR(measured / tail(basis.spectrum.eigenvalues, rank), 1, 1e-3);
    return measured;
  };
  for (const std::int64_t rank : {1, 4, 12}) EXPECT_LT(lost(true, rank), lost(false, rank)) << rank;
}

TEST(CentredPlan, IsPartOfThePlanAndItsPredictionIsThatOfItsFactors) {
  for (const auto& [method, share] : {std::pair{"joint", 0.3}, {"separate", 0.3}, {"grouped", 0.3}}) {
    SCOPED_TRACE(method);
    const PlanWithSpectra made = planned(requestOf(method, share));
    const CompressionPlan& plan = made.planned.plan;
    EXPECT_TRUE(plan.centred);
    CompressionPlan other = plan;
    other.centred = false;
    EXPECT_NE(fingerprint(plan), fingerprint(other));
    EXPECT_EQ(planFromJson(toJson(plan)).value(), plan);
    // Eigenvalues in Fisher blocks are what the loss rises by, with a mean or without.
    const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
    const auto predicted = valueOf(predictLoss(shortDecoder(), shortStatistics(), plan, factors, {}));
    ASSERT_TRUE(predicted && made.planned.predictedLoss);
    EXPECT_NEAR(*predicted / *made.planned.predictedLoss, 1, 1e-3);
  }
}

TEST(CentredPlan, OfCodesIsPredictedAroundTheMeanToo) {
  PlanRequest request = requestOf("coded-joint", 0.125);
  request.damping = 1e-9;  // the same basis, but predicted from its factors with Gaussian codes
  const PlanWithSpectra damped = planned(request);
  request.damping = 0;
  const PlanWithSpectra made = planned(request);
  EXPECT_NEAR(*damped.planned.predictedLoss / *made.planned.predictedLoss, 1, 0.35);
  EXPECT_EQ(made.planned.plan.exactTokens, 4);
}

TEST(CentredPlan, WritesOnAsTheTransformDoes) {
  for (const char* method : {"joint", "coded-joint", "separate"}) {
    const CompressionPlan plan = planned(requestOf(method, 0.25)).planned.plan;
    const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
    const PlanTransform transform(plan, factors, shortDecoder().shape(), at::kCPU);
    const KeyValues raw{gaussian({1, 9, 256}, 1).to(at::kFloat), gaussian({1, 9, 256}, 2).to(at::kFloat)};
    const KeyValues changed = transform.beforeRope(1, raw);
    const auto store = transform.makeStore(shortDecoder());
    store->append(1, raw, gaussian({1, 8, 9, 32}, 3).to(at::kFloat));
    const SequenceStore::Tokens rebuilt = store->rebuilt(1);
    // A number on the edge of two codes may fall to either side.
    const double tolerance = plan.storage == Storage::coded ? 0.02 : 1e-5;
    EXPECT_LE(relativeDifference(rebuilt.raw.keys, changed.keys), tolerance) << method;
    EXPECT_LE(relativeDifference(rebuilt.raw.values, changed.values), tolerance) << method;
  }
}

TEST(CentredPlan, CompensatedIsTheSameBeforeTheFirstCompressedLayer) {
  CompressionPlan plan = planned(requestOf("joint", 0.2)).planned.plan;
  const PlanFactors plain = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
  plan.compensated = true;
  const PlanFactors compensated = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
  ASSERT_EQ(plan.groups.size(), 2U);
  const at::Tensor rows = gaussian({20, 512}, 4).to(at::kFloat);
  const auto through = [&](const GroupFactors& factors) { return rebuiltFrom(latentOf(rows, factors), factors); };
  EXPECT_LE(relativeDifference(through(compensated[0]), through(plain[0])), 2e-3);
  EXPECT_LE(relativeDifference(compensated[0].offset, plain[0].offset), 1e-4);
  // Behind it the mean that is taken away is that of what comes in, the one put back that of the model as it is.
  EXPECT_LE(relativeDifference(compensated[1].offset, plain[1].offset), 1e-4);
  EXPECT_GT(relativeDifference(through(compensated[1]), through(plain[1])), 5e-3);
}

TEST(CentredPlan, OfKeysAfterRopeTakesAwayTheirMeanOverTheCalibrationsPositions) {
  at::Tensor rows;  // of head 3 of layer 1
  const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
    if (record.layer == 1) rows = record.rotatedKeys.select(1, 3).flatten(0, 1).to(at::kDouble);
    return {};
  };
  valueOf(shortDecoder().forward(demoWindows(12).ids, nullptr, visitor, false, {}));
  const at::Tensor mean = rows.mean(at::IntArrayRef{0}), around = rows - mean;
  BasisRequest request;
  request.metric = Metric::identity;
  request.keyPosition = KeyPosition::afterRope;
  request.centred = true;
  const std::vector<Slot> slots = {{1, Side::key, 3}};
  const LayerMoments moments = valueOf(LayerMoments::of(shortDecoder(), &shortStatistics(), 1, request));
  EXPECT_LE(relativeDifference(moments.meanOf(slots), mean), 1e-5);
  EXPECT_LE(relativeDifference(moments.covarianceOf(slots),
                               at::matmul(around.t(), around) / static_cast<double>(rows.size(0))),
            1e-4);
  // What is lost of the text's own keys is what the eigenvalues say, and less than without a mean.
  const auto lost = [&](const LayerMoments& of) {
    const GroupBasis basis = valueOf(of.decompose(slots));
    Group group{slots, std::vector<std::uint8_t>(32, 0), false};
    std::fill_n(group.widths.begin(), 8, std::uint8_t{16});
    const GroupFactors factors = factorsOf(basis, group);
    const at::Tensor keys = rows.to(at::kFloat);
    const double measured =
        (keys - rebuiltFrom(latentOf(keys, factors), factors)).square().sum(1).mean().item<double>();
    EXPECT_NEAR(measured / tail(basis.spectrum.eigenvalues, 8), 1, 1e-3);
    return measured;
  };
  const double centred = lost(moments);
  request.centred = false;
  EXPECT_LT(centred, lost(valueOf(LayerMoments::of(shortDecoder(), &shortStatistics(), 1, request))));
  // Statistics of earlier programs have no such mean.
  Statistics earlier = shortStatistics();
  for (LayerStatistics& layer : earlier.layers) layer.rotatedKeySum = at::Tensor();
  request.centred = true;
  EXPECT_THAT(errorOf(LayerMoments::of(shortDecoder(), &earlier, 1, request)).message,
              testing::HasSubstr("no sums of rotated keys"));
}

TEST(CentredPlan, OfKeysAfterRopeIsPlannedPredictedAndStored) {
  for (const char* method : {"kqsvd", "coded-head"}) {
    SCOPED_TRACE(method);
    const PlanWithSpectra made = planned(requestOf(method, 0.25));
    const CompressionPlan& plan = made.planned.plan;
    EXPECT_TRUE(validate(plan, shortDecoder().shape()).empty());
    const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
    if (plan.storage == Storage::lowRank16) {
      const auto predicted = valueOf(predictLoss(shortDecoder(), shortStatistics(), plan, factors, {}));
      EXPECT_NEAR(*predicted / *made.planned.predictedLoss, 1, 1e-6);
    }
    const PlanTransform transform(plan, factors, shortDecoder().shape(), at::kCPU);
    const KeyValues raw{gaussian({1, 9, 256}, 1).to(at::kFloat), gaussian({1, 9, 256}, 2).to(at::kFloat)};
    const at::Tensor rotated = gaussian({1, 8, 9, 32}, 3).to(at::kFloat), changed = transform.afterRope(1, rotated);
    const auto store = transform.makeStore(shortDecoder());
    store->append(1, raw, rotated);
    EXPECT_LE(relativeDifference(store->rebuilt(1).rotatedKeys, changed), plan.storage == Storage::coded ? 0.02 : 1e-5);
  }
}

TEST(CentredPlan, IsRefusedWhereItMeansNothing) {
  const auto refused = [](const char* method) {
    const Error error = errorOf(makePlan(shortDecoder(), &shortStatistics(), requestOf(method, 0.5), {}));
    EXPECT_EQ(error.code, ErrorCode::invalidArgument);
    EXPECT_EQ(error.hint, "Leave out --centred, or choose another method.");
    return error.message;
  };
  EXPECT_EQ(refused("svd"),
            "The method svd cannot be centred: it looks at weights alone, which have no mean over tokens.");
  EXPECT_EQ(refused("plain"), "The method plain cannot be centred: it has no bases.");
  EXPECT_EQ(refused("recalkv"),
            "The method recalkv cannot be centred: it goes from layer to layer in a way of its own.");
  // A plan that somebody has written by hand.
  CompressionPlan plan = planned(requestOf("joint", 0.5)).planned.plan;
  for (const char* method : {"svd", "recalkv"}) {
    plan.method = method;
    for (const Error& error : {errorOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {})),
                               errorOf(decomposeGroups(shortDecoder(), &shortStatistics(), plan, {}, {}))})
      EXPECT_THAT(error.message, testing::StartsWith("The plan is centred, but its method"));
  }
  plan.storage = Storage::plainQuantised;
  EXPECT_THAT(validate(plan, shortDecoder().shape()), testing::Contains("The plan is centred, which needs a latent."));
}

}  // namespace
}  // namespace kvista::test
