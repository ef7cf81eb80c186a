// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/prefix_streams.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

#include "core/compress/measures/measures.h"
#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

CompressionPlan recalkvPlan(double kept = 0.25) {
  PlanRequest request;
  request.method = "recalkv";
  request.target = {Target::Kind::keptFraction, kept};
  return valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned.plan;
}

at::Tensor statisticsMoment(int layer) {
  return outputMoments({shortDecoder(), shortStatistics(), layer, Side::key}, false).second;
}

/// Raw outputs [tokens, 2kv] of the second layer in one pass through the whole model.
at::Tensor outputsOfSecondLayer(const CacheTransform* transform) {
  at::Tensor rows;
  const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
    if (record.layer == 1) rows = at::cat({record.keys, record.values}, -1).flatten(0, 1).to(at::kDouble).clone();
    return {};
  };
  valueOf(shortDecoder().forward(shortStatistics().tokenIds.to(at::kLong), transform, visitor, false, {}));
  return rows;
}

void expectWithin(const Result<void>& result) {
  if (!result) FAIL() << result.error().message;
}

TEST(PrefixStreams, BeginAlikeWithTheStatistics) {
  const auto streams = valueOf(PrefixStreams::begin(shortDecoder(), shortStatistics().tokenIds, {}));
  const PrefixMoments moments = valueOf(streams.moments(false, {}));
  EXPECT_LE(relativeDifference(moments.compressed, statisticsMoment(0)), 1e-6);
  EXPECT_LE(relativeDifference(moments.crossed, statisticsMoment(0)), 1e-6);
}

TEST(PrefixStreams, StayAlikeWhereNothingIsCompressed) {
  auto streams = valueOf(PrefixStreams::begin(shortDecoder(), shortStatistics().tokenIds, {}));
  expectWithin(streams.advance(CacheTransform(), {}));
  const PrefixMoments moments = valueOf(streams.moments(false, {}));
  EXPECT_LE(relativeDifference(moments.compressed, statisticsMoment(1)), 1e-5);
  EXPECT_LE(relativeDifference(moments.crossed, statisticsMoment(1)), 1e-5);
}

TEST(PrefixStreams, SeeWhatAPassThroughTheCompressedModelSees) {
  const CompressionPlan plan = recalkvPlan();
  const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
  const PlanTransform transform(plan, factors, shortDecoder().shape(), at::kCPU);
  auto streams = valueOf(PrefixStreams::begin(shortDecoder(), shortStatistics().tokenIds, {}));
  expectWithin(streams.advance(transform, {}));
  const PrefixMoments moments = valueOf(streams.moments(false, {}));

  const at::Tensor original = outputsOfSecondLayer(nullptr);
  const at::Tensor compressed = outputsOfSecondLayer(&transform);
  const auto tokens = static_cast<double>(original.size(0));
  EXPECT_LE(relativeDifference(moments.compressed, at::matmul(compressed.t(), compressed) / tokens), 1e-5);
  EXPECT_LE(relativeDifference(moments.crossed, at::matmul(original.t(), compressed) / tokens), 1e-5);
  EXPECT_GT(relativeDifference(moments.compressed, statisticsMoment(1)), 1e-3);  // the prefix is another one
}

TEST(PrefixStreams, LeaveTheSinksOutWhereTheyAreToBe) {
  auto streams = valueOf(PrefixStreams::begin(shortDecoder(), shortStatistics().tokenIds, {}));
  expectWithin(streams.advance(CacheTransform(), {}));
  const at::Tensor rows = outputsOfSecondLayer(nullptr)
                              .unflatten(0, {-1, kWindow})
                              .narrow(1, kSinkTokens, kWindow - kSinkTokens)
                              .flatten(0, 1);
  EXPECT_LE(relativeDifference(valueOf(streams.moments(true, {})).compressed,
                               at::matmul(rows.t(), rows) / static_cast<double>(rows.size(0))),
            1e-5);
}

TEST(PrefixStreams, SampleTheTokensThatTheStatisticsSample) {
  const LayerStatistics& sums = shortStatistics().layers[0];
  const PrefixMoments moments =
      valueOf(valueOf(PrefixStreams::begin(shortDecoder(), shortStatistics().tokenIds, {})).moments(false, {}));
  at::Tensor expected = sums.sample.to(at::kDouble);
  if (shortStatistics().ofInput)
    expected =
        at::matmul(expected, at::cat({shortDecoder().keyWeight(0), shortDecoder().valueWeight(0)}).to(at::kDouble).t());
  ASSERT_EQ(moments.sample.sizes(), expected.sizes());
  EXPECT_LE(relativeDifference(moments.sample, expected), 1e-2);  // the statistics keep theirs in bfloat16
}

TEST(PrefixStreams, AreStoppedByTheTask) {
  std::stop_source stop;
  stop.request_stop();
  Task task;
  task.stop = stop.get_token();
  EXPECT_EQ(errorOf(PrefixStreams::begin(shortDecoder(), shortStatistics().tokenIds, task)).code, ErrorCode::cancelled);
  auto streams = valueOf(PrefixStreams::begin(shortDecoder(), shortStatistics().tokenIds, {}));
  EXPECT_EQ(errorOf(streams.moments(false, task)).code, ErrorCode::cancelled);
  EXPECT_EQ(errorOf(streams.advance(CacheTransform(), task)).code, ErrorCode::cancelled);
}

TEST(SequentialFactors, AreThoseOfTheStatisticsBeforeAnythingIsCompressed) {
  const CompressionPlan plan = recalkvPlan();
  const PlanFactors inSequence = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
  const PlanFactors alone = valueOf(factorsOfStatistics(shortDecoder(), &shortStatistics(), plan, {}));
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    if (inSequence[i].isIdentity()) continue;
    const double difference =
        relativeDifference(at::matmul(inSequence[i].up, inSequence[i].down), at::matmul(alone[i].up, alone[i].down));
    if (plan.groups[i].slots.front().layer == 0)
      EXPECT_LE(difference, 1e-3) << "group " << i;
    else
      EXPECT_GT(difference, 5e-3) << "group " << i;
  }
}

TEST(SequentialFactors, RebuildValuesBehindACompressedLayerBetter) {
  const CompressionPlan plan = recalkvPlan(0.15);
  const ModelShape& shape = shortDecoder().shape();
  const PlanFactors inSequence = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
  const PlanFactors alone = valueOf(factorsOfStatistics(shortDecoder(), &shortStatistics(), plan, {}));
  const PlanTransform transform(plan, inSequence, shape, at::kCPU);
  const at::Tensor target = outputsOfSecondLayer(nullptr).narrow(1, shape.keyWidth(), shape.valueWidth());
  const at::Tensor seen = outputsOfSecondLayer(&transform).narrow(1, shape.keyWidth(), shape.valueWidth());
  const auto last = plan.groups.size() - 1;  // all values of the second layer
  ASSERT_EQ(plan.groups[last].slots.front(), (Slot{1, Side::value, 0}));
  const auto error = [&](const GroupFactors& factors) {
    const at::Tensor kept = at::matmul(factors.up.to(at::kDouble), factors.down.to(at::kDouble));
    return (target - at::matmul(seen, kept.t())).norm().item<double>();
  };
  EXPECT_LT(error(inSequence[last]), error(alone[last]));
}

}  // namespace
}  // namespace kvista::test
