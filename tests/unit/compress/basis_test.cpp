// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/basis.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_cholesky.h>
#include <ATen/ops/linalg_inv.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/calibration/symmetric_pack.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

std::vector<Slot> slotsOf(int layer, const std::vector<int>& keyHeads, const std::vector<int>& valueHeads) {
  std::vector<Slot> slots;
  for (const int head : keyHeads) slots.push_back({layer, Side::key, head});
  for (const int head : valueHeads) slots.push_back({layer, Side::value, head});
  return slots;
}

const std::vector<int> kAll = {0, 1, 2, 3, 4, 5, 6, 7};

/// Keys and values of layer 1, float64 [windows, tokens, 512], of the text the statistics are of.
const at::Tensor& outputs() {
  static const at::Tensor all = [] {
    at::Tensor seen;
    const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
      if (record.layer == 1) seen = at::cat({record.keys, record.values}, -1).to(at::kDouble);
      return {};
    };
    valueOf(shortDecoder().forward(demoWindows(12).ids, nullptr, visitor, false, {}));
    return seen;
  }();
  return all;
}

at::Tensor columnsOf(const std::vector<Slot>& slots) {
  std::vector<at::Tensor> parts;
  for (const Slot& slot : slots)
    parts.push_back(outputs().flatten(0, 1).narrow(1, (slot.side == Side::key ? 0 : 256) + 32 * slot.head, 32));
  return at::cat(parts, 1);
}

LayerMoments momentsOf(const BasisRequest& request, const Statistics& statistics = shortStatistics()) {
  return valueOf(LayerMoments::of(shortDecoder(), &statistics, 1, request));
}

BasisRequest withMetric(Metric metric) {
  BasisRequest request;
  request.metric = metric;
  return request;
}

/// Mean over rows of e^T M e with M one block a slot.
double meanLoss(const at::Tensor& errors, const std::vector<Slot>& slots, const LayerMoments& moments) {
  double sum = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const at::Tensor error = errors.narrow(1, static_cast<std::int64_t>(32 * i), 32);
    const at::Tensor metric = moments.metricOf(slots[i]);
    sum += ((metric.defined() ? at::matmul(error, metric) : error) * error).sum().item<double>();
  }
  return sum / static_cast<double>(errors.size(0));
}

double total(const std::vector<double>& values, std::size_t from = 0) {
  return std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(from), values.end(), 0.0);
}

class BasisInMetric : public ::testing::TestWithParam<Metric> {};
INSTANTIATE_TEST_SUITE_P(Both, BasisInMetric, ::testing::Values(Metric::identity, Metric::fisher),
                         [](const auto& info) { return info.param == Metric::fisher ? "Fisher" : "Identity"; });

TEST_P(BasisInMetric, IsItsOwnInverseAtFullRank) {
  for (const auto& slots : {slotsOf(1, {3}, {}), slotsOf(1, {5, 1}, {1, 5}), slotsOf(1, {}, kAll)}) {
    const GroupBasis basis = valueOf(momentsOf(withMetric(GetParam())).decompose(slots));
    const auto n = static_cast<std::int64_t>(32 * slots.size());
    EXPECT_LE(largestDifference(at::matmul(basis.up, basis.down), at::eye(n, at::kDouble)), 1e-6);
    EXPECT_LE(largestDifference(at::matmul(basis.down, basis.up), at::eye(n, at::kDouble)), 1e-6);
    EXPECT_FALSE(basis.steps.defined());
    EXPECT_TRUE(basis.spectrum.distortion.empty());
  }
}

TEST_P(BasisInMetric, TheLossOfEveryRankIsTheTailOfFallingEigenvalues) {
  const LayerMoments moments = momentsOf(withMetric(GetParam()));
  for (const auto& slots : {slotsOf(1, {2}, {}), slotsOf(1, {4, 0}, {6}), slotsOf(1, kAll, kAll)}) {
    const GroupBasis basis = valueOf(moments.decompose(slots));
    const std::vector<double>& values = basis.spectrum.eigenvalues;
    EXPECT_TRUE(std::is_sorted(values.rbegin(), values.rend()));
    EXPECT_GE(values.back(), 0);
    const at::Tensor rows = columnsOf(slots);
    const double whole = meanLoss(rows, slots, moments);  // trace(M C)
    EXPECT_NEAR(total(values) / whole, 1, 1e-5);
    for (const std::size_t rank : {std::size_t{0}, values.size() / 8, values.size() / 3}) {
      const auto r = static_cast<std::int64_t>(rank);
      const at::Tensor kept = at::matmul(basis.up.narrow(1, 0, r), basis.down.narrow(0, 0, r));
      EXPECT_NEAR(meanLoss(rows - at::matmul(rows, kept.t()), slots, moments), total(values, rank), 1e-5 * whole)
          << rank;
    }
  }
}

TEST(Basis, FollowsTheOrderOfTheSlots) {
  const LayerMoments moments = momentsOf(withMetric(Metric::fisher));
  const GroupBasis one = valueOf(moments.decompose(slotsOf(1, {1, 6}, {})));
  const GroupBasis other = valueOf(moments.decompose(slotsOf(1, {6, 1}, {})));
  EXPECT_NEAR(one.spectrum.eigenvalues[3] / other.spectrum.eigenvalues[3], 1, 1e-9);
  const at::Tensor swapped = at::cat({other.up.narrow(0, 32, 32), other.up.narrow(0, 0, 32)});
  const at::Tensor crossed = at::matmul(one.up.narrow(1, 0, 9), one.down.narrow(0, 0, 9));
  const at::Tensor down = at::cat({other.down.narrow(1, 32, 32), other.down.narrow(1, 0, 32)}, 1);
  EXPECT_LE(relativeDifference(at::matmul(swapped.narrow(1, 0, 9), down.narrow(0, 0, 9)), crossed), 1e-6);
}

/// Statistics of random inputs [1000, 256], which have a Cholesky factor.
const Statistics& randomStatistics() {
  static const Statistics statistics = [] {
    Statistics made = shortStatistics();
    const at::Tensor inputs = at::matmul(gaussian({1000, 256}, 5), gaussian({256, 256}, 6));
    made.tokens = 1000;
    for (LayerStatistics& layer : made.layers) layer.packedSecondMoment = packSymmetric(at::matmul(inputs.t(), inputs));
    return made;
  }();
  return statistics;
}

TEST(Basis, WithTheIdentityMetricIsWhitenedSvd) {
  const LayerMoments moments = momentsOf(withMetric(Metric::identity), randomStatistics());
  const at::Tensor factor = at::linalg_cholesky(randomStatistics().layers[1].secondMoment());  // S S^T = X^T X
  const at::Tensor keys = shortDecoder().keyWeight(1).to(at::kDouble);
  const at::Tensor values = shortDecoder().valueWeight(1).to(at::kDouble);
  const std::pair<std::vector<Slot>, at::Tensor> cases[] = {{slotsOf(1, kAll, {}), keys},
                                                            {slotsOf(1, kAll, kAll), at::cat({keys, values})},
                                                            {slotsOf(1, {}, {7}), values.narrow(0, 224, 32)}};
  for (const auto& [slots, weight] : cases) {
    const auto [left, singular, right] = at::linalg_svd(at::matmul(weight, factor), false);
    const GroupBasis basis = valueOf(moments.decompose(slots));
    const std::int64_t rank = weight.size(0) / 4;
    const auto first = [&](const at::Tensor& tensor, std::int64_t dimension) {
      return tensor.narrow(dimension, 0, rank);
    };
    const at::Tensor expected =
        at::matmul(at::matmul(first(left, 1) * first(singular, 0), first(right, 0)), at::linalg_inv(factor));
    const at::Tensor got = at::matmul(first(basis.up, 1), at::matmul(first(basis.down, 0), weight));
    EXPECT_LE(relativeDifference(got, expected), 1e-7);
    for (std::int64_t i = 0; i < rank; ++i) {
      const double value = singular[i].item<double>();
      EXPECT_NEAR(basis.spectrum.eigenvalues[static_cast<std::size_t>(i)] * 1000 / (value * value), 1, 1e-8);
    }
  }
}

/// Outputs behind compressed layers, made up: the model's own through a matrix near the identity, with noise; and what
/// a prefix says of them.
struct MadeUpPrefix {
  at::Tensor target = outputs().flatten(0, 1);  // y1
  at::Tensor seen;                              // y2
  PrefixMoments moments;

  MadeUpPrefix() {
    const at::Tensor scale = target.square().mean(0, true).sqrt();
    seen = at::matmul(target, at::eye(512, at::kDouble) + 0.02 * gaussian({512, 512}, 11)) +
           0.2 * scale * gaussian(target.sizes().vec(), 12);
    const auto tokens = static_cast<double>(target.size(0));
    moments = {at::matmul(seen.t(), seen) / tokens, at::matmul(target.t(), seen) / tokens, seen.to(at::kFloat)};
  }
  static at::Tensor of(const at::Tensor& rows, const std::vector<Slot>& slots) {
    std::vector<at::Tensor> parts;
    for (const Slot& slot : slots)
      parts.push_back(rows.narrow(1, (slot.side == Side::key ? 0 : 256) + 32 * slot.head, 32));
    return at::cat(parts, 1);
  }
};

const MadeUpPrefix& madeUpPrefix() {
  static const MadeUpPrefix prefix;
  return prefix;
}

TEST_P(BasisInMetric, CompensatedIsReducedRankRegression) {
  const LayerMoments moments = momentsOf(withMetric(GetParam()));
  const MadeUpPrefix& prefix = madeUpPrefix();
  for (const auto& slots : {slotsOf(1, {2}, {}), slotsOf(1, {4, 0}, {6}), slotsOf(1, {}, kAll)}) {
    const at::Tensor y1 = MadeUpPrefix::of(prefix.target, slots), y2 = MadeUpPrefix::of(prefix.seen, slots);
    const GroupBasis compensated = valueOf(moments.compensate(slots, prefix.moments));
    const std::vector<double>& explained = compensated.spectrum.eigenvalues;
    const double all = meanLoss(y1, slots, moments);
    for (const std::int64_t rank : {std::int64_t{1}, y1.size(1) / 8, y1.size(1) / 3}) {
      const auto lossOf = [&](const at::Tensor& up, const at::Tensor& down) {
        return meanLoss(y1 - at::matmul(at::matmul(y2, down.narrow(0, 0, rank).t()), up.narrow(1, 0, rank).t()), slots,
                        moments);
      };
      const double loss = lossOf(compensated.up, compensated.down);
      EXPECT_NEAR(loss, all - std::accumulate(explained.begin(), explained.begin() + rank, 0.0), 1e-4 * all);
      // No other factors of this rank do better: not those of y1, nor of y2, nor these moved a little.
      const GroupBasis own = valueOf(moments.decompose(slots));
      LayerMoments behind = moments;
      behind.replaceCovariance(prefix.moments.compressed);
      const GroupBasis whitened = valueOf(behind.decompose(slots));
      EXPECT_LT(loss, lossOf(own.up, own.down));
      EXPECT_LT(loss, lossOf(whitened.up, whitened.down));
      const at::Tensor moved = compensated.down + 1e-2 * compensated.down.norm() / static_cast<double>(y1.size(1)) *
                                                      gaussian(compensated.down.sizes().vec(), 13);
      EXPECT_LT(loss, lossOf(compensated.up, moved));
    }
  }
}

TEST_P(BasisInMetric, CompensatedBehindWhatChangesNothingIsThePlainDecomposition) {
  BasisRequest request = withMetric(GetParam());
  request.codedWidths = {0, 2, 4};
  const LayerMoments moments = momentsOf(request);
  const auto slots = slotsOf(1, {5, 1}, {1, 5});
  const at::Tensor rows = outputs().flatten(0, 1);
  const GroupBasis plain = valueOf(moments.decompose(slots));
  const GroupBasis compensated =
      valueOf(moments.compensate(slots, {moments.covariance(), moments.covariance(), rows.to(at::kFloat)}));
  for (std::size_t i = 0; i < 40; ++i)
    EXPECT_NEAR(compensated.spectrum.eigenvalues[i] / plain.spectrum.eigenvalues[i], 1, 1e-6) << i;
  const auto firstForty = [](const GroupBasis& basis) {
    return at::matmul(basis.up.narrow(1, 0, 40), basis.down.narrow(0, 0, 40));
  };
  EXPECT_LE(relativeDifference(firstForty(compensated), firstForty(plain)), 1e-6);
  ASSERT_EQ(compensated.steps.sizes(), plain.steps.sizes());
}

TEST(Basis, CompensatedStepsAreFittedToWhatTheLatentsBecome) {
  BasisRequest request = withMetric(Metric::fisher);
  request.codedWidths = {0, 2, 4};
  const LayerMoments moments = momentsOf(request);
  const MadeUpPrefix& prefix = madeUpPrefix();
  PrefixMoments louder = prefix.moments;
  louder.sample = prefix.moments.sample * 2;
  const auto slots = slotsOf(1, {3}, {});
  const GroupBasis once = valueOf(moments.compensate(slots, prefix.moments));
  const GroupBasis twice = valueOf(moments.compensate(slots, louder));
  EXPECT_LE(relativeDifference(twice.steps, 2 * once.steps), 1e-6);
}

TEST(Basis, WeightsAloneGiveTheirGram) {
  BasisRequest request;
  request.metric = Metric::identity;
  request.weightsOnly = true;
  const LayerMoments moments = valueOf(LayerMoments::of(shortDecoder(), nullptr, 0, request));
  const at::Tensor weight = at::cat({shortDecoder().keyWeight(0), shortDecoder().valueWeight(0)}).to(at::kDouble);
  EXPECT_LE(relativeDifference(moments.covariance(), at::matmul(weight, weight.t())), 1e-12);
  const GroupBasis basis = valueOf(moments.decompose(slotsOf(0, {}, kAll)));
  const auto [left, singular, right] = at::linalg_svd(weight.narrow(0, 256, 256), false);
  EXPECT_NEAR(basis.spectrum.eigenvalues[0] / std::pow(singular[0].item<double>(), 2), 1, 1e-9);
}

TEST(Basis, WithoutSinksTheFirstTokensAreLeftOut) {
  // 16 sink tokens, which their factor keeps exactly.
  const Statistics few = statisticsOf(shortDecoder(), demoWindows(4));
  BasisRequest request;
  const LayerMoments with = momentsOf(request, few);
  request.withoutSinks = true;
  const LayerMoments without = momentsOf(request, few);
  const at::Tensor all = outputs().narrow(0, 0, 4).flatten(0, 1);
  const at::Tensor rest = outputs().narrow(0, 0, 4).narrow(1, 4, kWindow - 4).flatten(0, 1);
  const auto mean = [](const at::Tensor& rows) {
    return at::matmul(rows.t(), rows) / static_cast<double>(rows.size(0));
  };
  EXPECT_LE(relativeDifference(with.covariance(), mean(all)), 1e-5);
  EXPECT_LE(relativeDifference(without.covariance(), mean(rest)), 1e-5);
  EXPECT_GE(relativeDifference(with.covariance(), without.covariance()), 1e-3);
  // The metric follows: the gradients at the sinks count only where the sinks are not exact.
  const LayerStatistics& sums = few.layers[1];
  const at::Tensor keys = sums.fisherKeys[2];
  EXPECT_LE(relativeDifference(without.metricOf({1, Side::key, 2}), keys / (4.0 * (kWindow - 4))), 1e-12);
  EXPECT_LE(relativeDifference(with.metricOf({1, Side::key, 2}), (keys + sums.sinkFisherKeys[2]) / (4.0 * kWindow)),
            1e-12);
}

TEST(Basis, KeysAfterRopeHaveTheirOwnMoments) {
  BasisRequest request;
  request.keyPosition = KeyPosition::afterRope;
  const LayerMoments moments = momentsOf(request);
  const LayerStatistics& sums = shortStatistics().layers[1];
  const double tokens = 12 * kWindow;
  const at::Tensor atTheValues = sums.fisherValues[5] + sums.sinkFisherValues[5];
  EXPECT_LE(relativeDifference(moments.covarianceOf(slotsOf(1, {5}, {})), sums.rotatedKeys[5] / tokens), 1e-12);
  EXPECT_LE(relativeDifference(moments.metricOf({1, Side::key, 5}), sums.fisherRotatedKeys[5] / tokens), 1e-12);
  EXPECT_LE(relativeDifference(moments.metricOf({1, Side::value, 5}), atTheValues / tokens), 1e-12);
  const std::vector<double> values = valueOf(moments.decompose(slotsOf(1, {5}, {}))).spectrum.eigenvalues;
  EXPECT_NEAR(total(values) / (sums.rotatedKeys[5] * sums.fisherRotatedKeys[5]).sum().item<double>() * tokens * tokens,
              1, 1e-6);
}

TEST(Basis, TheFisherMetricNeedsGradients) {
  Statistics plain = shortStatistics();
  for (LayerStatistics& layer : plain.layers)
    layer.fisherKeys = layer.fisherValues = layer.fisherRotatedKeys = at::Tensor();
  const Error error = errorOf(LayerMoments::of(shortDecoder(), &plain, 0, {}));
  EXPECT_EQ(error.code, ErrorCode::invalidArgument);
  EXPECT_THAT(error.message, ::testing::HasSubstr("no gradients"));
}

TEST(Basis, SumsThatAreNotFiniteAreAnError) {
  Statistics damaged = shortStatistics();
  damaged.layers[1].packedSecondMoment = packSymmetric(damaged.layers[1].secondMoment() / 0.0);
  const auto basis = momentsOf(withMetric(Metric::fisher), damaged).decompose(slotsOf(1, {0}, {}));
  EXPECT_EQ(errorOf(basis).code, ErrorCode::numerical);
  EXPECT_THAT(basis.error().message, ::testing::HasSubstr("layer 1"));
}

TEST(FactorsOf, KeepsDirectionsWithBitsByFallingWidth) {
  BasisRequest request;
  request.codedWidths = {0, 1, 2, 4, 8};
  Group group{slotsOf(1, {3}, {}), std::vector<std::uint8_t>(32, 0), false};
  const GroupBasis basis = valueOf(momentsOf(request).decompose(group.slots));
  ASSERT_EQ(basis.steps.sizes().vec(), (std::vector<std::int64_t>{32, 5}));
  ASSERT_EQ(basis.spectrum.distortion.size(), 160U);
  group.widths[0] = 4;
  group.widths[2] = 16;
  group.widths[3] = 8;
  group.widths[7] = 4;
  const GroupFactors factors = factorsOf(basis, group);
  EXPECT_EQ(factors.widths, (std::vector<std::uint8_t>{16, 8, 4, 4}));
  const std::pair<int, int> directions[] = {{2, -1}, {3, 4}, {0, 3}, {7, 3}};  // and the place of their width
  for (std::int64_t i = 0; i < 4; ++i) {
    const auto [direction, width] = directions[i];
    EXPECT_LE(relativeDifference(factors.up.select(1, i), basis.up.select(1, direction)), 1e-6);
    EXPECT_LE(relativeDifference(factors.down[i], basis.down[direction]), 1e-6);
    EXPECT_EQ(factors.steps[i].item<float>(), width < 0 ? 0.0F : basis.steps[direction][width].item<float>());
  }
  std::ranges::fill(group.widths, std::uint8_t{16});
  EXPECT_TRUE(factorsOf(basis, group).isIdentity());
}

}  // namespace
}  // namespace kvista::test
