// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Published systems against small dense references (methods.md sections 2, 6, 9 and 11).
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_cholesky.h>
#include <ATen/ops/linalg_inv.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/matmul.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/compress/cache_spectra.h"
#include "core/compress/layer_sharing.h"
#include "core/compress/measures/measures.h"
#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "tests/unit/compress/plan_request.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kWidth = 32, kHeads = 8;

CompressionPlan planned(const PlanRequest& request) {
  return valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned.plan;
}

PlanFactors factorsOf(const CompressionPlan& plan) {
  return valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
}

LayerMoments momentsOf(const Statistics& statistics, int layer, Metric metric,
                       KeyPosition position = KeyPosition::afterRope) {
  BasisRequest request;
  request.metric = metric;
  request.keyPosition = position;
  return valueOf(LayerMoments::of(shortDecoder(), &statistics, layer, request));
}

at::Tensor projector(const GroupBasis& basis, std::int64_t rank) {
  return at::matmul(basis.up.narrow(1, 0, rank), basis.down.narrow(0, 0, rank));
}

/// Rows with directions of very different size that are no axes.
at::Tensor uneven(std::int64_t rows, unsigned seed) {
  const at::Tensor scales = (gaussian({kWidth}, seed + 1) * 1.5).exp();
  return at::matmul(gaussian({rows, kWidth}, seed) * scales, gaussian({kWidth, kWidth}, seed + 2));
}

/// The dense truncation of a weight for inputs with second moment G = S S^T: U_r S_r V_r^T S^-1 of W S.
at::Tensor whitenedSvd(const at::Tensor& weight, const at::Tensor& moment, std::int64_t rank) {
  const at::Tensor root = at::linalg_cholesky(moment);
  const auto [u, s, v] = at::linalg_svd(at::matmul(weight, root), false);
  const at::Tensor kept = at::matmul(u.narrow(1, 0, rank) * s.narrow(0, 0, rank), v.narrow(0, 0, rank));
  return at::matmul(kept, at::linalg_inv(root));
}

/// Keys and queries of 16 heads in each of 13 models: more than 200 cases through the code that plans are made with.
TEST(KqSvd, NoOtherPairOfItsRankDoesBetter) {
  int cases = 0;
  for (unsigned model = 0; model < 13; ++model) {
    Statistics statistics = shortStatistics();
    std::vector<at::Tensor> keys, queries;  // [rows, d] of each head of each layer
    for (unsigned layer = 0; layer < 2; ++layer) {
      LayerStatistics& sums = statistics.layers[layer];
      sums.rotatedKeys = sums.rotatedKeys.clone();
      sums.rotatedQueries = sums.rotatedQueries.clone();
      for (unsigned head = 0; head < kHeads; ++head) {
        const unsigned seed = 1000 * model + 100 * layer + 10 * head;
        keys.push_back(uneven(60, seed));
        queries.push_back(uneven(50, seed + 5));
        sums.rotatedKeys[head].copy_(at::matmul(keys.back().t(), keys.back()));
        sums.rotatedQueries[head].copy_(at::matmul(queries.back().t(), queries.back()));
      }
    }
    for (int layer = 0; layer < 2; ++layer) {
      const LayerMoments own = momentsOf(statistics, layer, Metric::attention),
                         plain = momentsOf(statistics, layer, Metric::identity),
                         eigen = momentsOf(statistics, layer, Metric::eigen);
      for (int head = 0; head < kHeads; ++head, ++cases) {
        const auto index = static_cast<std::size_t>(layer * kHeads + head);
        const at::Tensor &k = keys[index], &q = queries[index];
        const std::vector<Slot> slots = {{layer, Side::key, head}};
        const std::int64_t rank = 1 + (cases * 7) % (kWidth - 1);
        // |K (1 - A B^T) Q^T|^2, with the key rebuilt as `kept` times it.
        const auto lost = [&](const at::Tensor& kept) {
          return at::matmul(at::matmul(k, at::eye(kWidth, at::kDouble) - kept.t()), q.t())
              .square()
              .sum()
              .item<double>();
        };
        const double best = lost(projector(valueOf(own.decompose(slots)), rank));
        const at::Tensor values = at::linalg_svdvals(at::matmul(k, q.t()));
        const double bound = values.narrow(0, rank, kWidth - rank).square().sum().item<double>();  // Eckart and Young
        const double whole = values.square().sum().item<double>();
        EXPECT_NEAR(best, bound, 1e-6 * bound + 1e-9 * whole) << "case " << cases << " rank " << rank;
        const double slack = 1e-9 * whole;
        EXPECT_LE(best, lost(projector(valueOf(plain.decompose(slots)), rank)) + slack);
        EXPECT_LE(best, lost(projector(valueOf(eigen.decompose(slots)), rank)) + slack);
        for (unsigned other = 0; other < 3; ++other) {
          const unsigned seed = 77'000 + 100 * static_cast<unsigned>(cases) + other;
          const at::Tensor a = gaussian({kWidth, rank}, seed);
          EXPECT_LE(best, lost(at::matmul(a, gaussian({rank, kWidth}, seed + 50)) * 0.1) + slack);
          EXPECT_LE(best,
                    lost(at::matmul(a, at::linalg_inv(at::matmul(a.t(), a)).matmul(a.t()))) + slack);  // a projector
        }
      }
    }
  }
  EXPECT_GE(cases, 200);
}

TEST(EigenAttention, DirectionsAreThoseOfKeysAndQueriesTogether) {
  const LayerStatistics& sums = shortStatistics().layers[1];
  const LayerMoments moments = momentsOf(shortStatistics(), 1, Metric::eigen);
  const GroupBasis basis = valueOf(moments.decompose({{1, Side::key, 3}}));
  const at::Tensor stacked =
      (sums.rotatedKeys[3] + sums.rotatedQueries[3]) / static_cast<double>(shortStatistics().tokens);
  const at::Tensor roots = at::linalg_svdvals(stacked);
  for (std::size_t i = 0; i < 20; ++i)
    EXPECT_NEAR(basis.spectrum.eigenvalues[i] / roots[static_cast<std::int64_t>(i)].item<double>(), 1, 1e-6);
  EXPECT_LE(largestDifference(at::matmul(basis.up.t(), basis.up), at::eye(kWidth)), 1e-9);
  EXPECT_LE(largestDifference(basis.up.t(), basis.down), 1e-12);
  // Values, which no query looks at, are as plain SVD has them.
  const GroupBasis values = valueOf(moments.decompose({{1, Side::value, 3}}));
  const GroupBasis plain = valueOf(momentsOf(shortStatistics(), 1, Metric::identity).decompose({{1, Side::value, 3}}));
  EXPECT_EQ(values.spectrum.eigenvalues, plain.spectrum.eigenvalues);
  PlanRequest before = requestOf("joint", 0.25);
  before.metric = Metric::eigen;
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), before, {})).message,
              HasSubstr("the metric eigen looks at queries"));
}

TEST(Matryoshka, SmallerRanksAreTheFirstDirectionsOfLargerOnes) {
  for (const char* method : {"matryoshka", "kqsvd", "svd-llm"}) {
    SCOPED_TRACE(method);
    PlanRequest less = requestOf(method, 0.25), more = requestOf(method, 0.5);
    const bool orthogonal = std::string_view(method) != "kqsvd";
    if (orthogonal) less.metric = more.metric = Metric::identity;
    const CompressionPlan small = planned(less), large = planned(more);
    const PlanFactors few = factorsOf(small), many = factorsOf(large);
    int compared = 0;
    for (std::size_t i = 0; i < few.size(); ++i) {
      ASSERT_EQ(small.groups[i].slots, large.groups[i].slots);
      if (few[i].isIdentity() || many[i].isIdentity()) continue;
      const std::int64_t rank = few[i].up.size(1);
      if (rank == 0 || rank > many[i].up.size(1)) continue;
      EXPECT_EQ(largestDifference(few[i].up, many[i].up.narrow(1, 0, rank)), 0);
      EXPECT_EQ(largestDifference(few[i].down, many[i].down.narrow(0, 0, rank)), 0);
      if (orthogonal) {
        EXPECT_LE(largestDifference(at::matmul(few[i].down, few[i].up), at::eye(rank)), 1e-5);
        EXPECT_LE(largestDifference(few[i].up.t(), few[i].down), 1e-6);
      }
      ++compared;
    }
    EXPECT_GE(compared, 2);
  }
}

TEST(Palu, IsTheWhitenedSvdOfItsGroups) {
  PlanRequest request = requestOf("palu-g", 0.5);
  const CompressionPlan plan = planned(request);
  ASSERT_EQ(plan.groups.size(), 2U * (2 + 2));  // keys and values in groups of four
  const PlanFactors factors = factorsOf(plan);
  const at::Tensor moment = shortStatistics().layers[1].secondMoment();  // of the inputs, fewer than outputs here
  ASSERT_TRUE(shortStatistics().ofInput);
  for (std::size_t i = 4; i < 8; ++i) {
    const std::vector<Slot>& slots = plan.groups[i].slots;
    ASSERT_EQ(slots.size(), 4U);
    EXPECT_EQ(slots.back().head - slots.front().head, 3);
    const at::Tensor all =
        slots.front().side == Side::key ? shortDecoder().keyWeight(1) : shortDecoder().valueWeight(1);
    const at::Tensor weight = all.to(at::kDouble).narrow(0, slots.front().head * kWidth, 4 * kWidth);
    const at::Tensor got =
        at::matmul(at::matmul(factors[i].up.to(at::kDouble), factors[i].down.to(at::kDouble)), weight);
    EXPECT_LE(relativeDifference(got, whitenedSvd(weight, moment, factors[i].up.size(1))), 1e-4);
  }
  EXPECT_EQ(planned(requestOf("palu-m", 0.5)).groups.size(), 2U * 16);
  EXPECT_EQ(planned(requestOf("palu-j", 0.5)).groups.size(), 2U * 2);
  EXPECT_EQ(planned(requestOf("palu-j", 0.5)).allocator, "fisher_uniform");
}

TEST(ReCalKv, EachPartCanBeLeftOut) {
  // The paper's ablation: neither part, reordered heads, calibrated values, both.
  std::vector<CompressionPlan> plans;
  for (const bool reorders : {false, true}) {
    for (const bool calibrates : {false, true}) {
      PlanRequest request = requestOf("recalkv", 0.25);
      request.allocator = "uniform";  // by Fisher score the values of so small a model keep all
      if (!reorders) request.grouping = "neighbours";
      request.uncalibrated = !calibrates;
      plans.push_back(planned(request));
      EXPECT_EQ(planFromJson(toJson(plans.back())).value(), plans.back());
    }
  }
  for (std::size_t i = 0; i < plans.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_TRUE(fingerprint(plans[i]) != fingerprint(plans[j]) || plans[i].groups == plans[j].groups);
  EXPECT_NE(fingerprint(plans[0]), fingerprint(plans[1]));
  const PlanFactors decomposed = factorsOf(plans[0]), calibrated = factorsOf(plans[1]);
  double values = 0;
  for (std::size_t i = 0; i < decomposed.size(); ++i) {
    const Slot& first = plans[0].groups[i].slots.front();
    const double difference = relativeDifference(at::matmul(calibrated[i].up, calibrated[i].down),
                                                 at::matmul(decomposed[i].up, decomposed[i].down));
    if (first.layer == 0) {
      EXPECT_LE(difference, 1e-3);  // before anything is compressed calibration is at its fixed point
    } else if (first.side == Side::value) {
      values = difference;
    }
  }
  EXPECT_GT(values, 1e-3);
  PlanRequest other = requestOf("joint", 0.5);
  other.uncalibrated = true;
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), other, {})).message,
              HasSubstr("calibrates no values"));
}

TEST(Whitening, LeftOutIsTheSvdOfTheWeights) {
  PlanRequest request = requestOf("svd-llm", 0.25);
  request.unwhitened = true;
  const CompressionPlan plan = planned(request);
  EXPECT_TRUE(plan.unwhitened);
  EXPECT_EQ(planFromJson(toJson(plan)).value(), plan);
  const PlanFactors factors = factorsOf(plan);
  const at::Tensor weight = shortDecoder().keyWeight(0).to(at::kDouble);
  const std::int64_t rank = factors[0].up.size(1);
  const auto [u, s, v] = at::linalg_svd(weight, false);
  const at::Tensor expected = at::matmul(u.narrow(1, 0, rank) * s.narrow(0, 0, rank), v.narrow(0, 0, rank));
  EXPECT_LE(
      relativeDifference(at::matmul(at::matmul(factors[0].up.to(at::kDouble), factors[0].down.to(at::kDouble)), weight),
                         expected),
      1e-4);
  request.unwhitened = false;
  EXPECT_NE(fingerprint(planned(request)), fingerprint(plan));
  for (const auto& [method, words] : {std::pair{"joint", "weighs errors by the metric fisher"},
                                      {"coded", "steps are fitted to text"},
                                      {"kqsvd", "after RoPE"},
                                      {"svd", "in any case"}}) {
    PlanRequest refused = requestOf(method, 0.25);
    refused.unwhitened = true;
    EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), refused, {})).message, HasSubstr(words));
  }
}

TEST(CommonKv, LayersShareWhatMakesTheirLatents) {
  const CompressionPlan plan = planned(requestOf("commonkv", 0.25));
  const PlanFactors factors = factorsOf(plan);
  ASSERT_EQ(factors.size(), 2U);
  const auto weightOf = [](int layer) {
    return at::cat({shortDecoder().keyWeight(layer), shortDecoder().valueWeight(layer)}).to(at::kDouble);
  };
  const at::Tensor first = at::matmul(factors[0].down.to(at::kDouble), weightOf(0)),
                   second = at::matmul(factors[1].down.to(at::kDouble), weightOf(1));
  EXPECT_LE(relativeDifference(first, second), 1e-4);
  const std::int64_t rank = factors[0].up.size(1);
  ASSERT_EQ(rank, factors[1].up.size(1));
  const auto [u, s, v] = at::linalg_svd(at::cat({weightOf(0), weightOf(1)}), false);
  // Both layers.
  const at::Tensor expected = at::matmul(u.narrow(1, 0, rank) * s.narrow(0, 0, rank), v.narrow(0, 0, rank));
  const at::Tensor got =
      at::cat({at::matmul(factors[0].up.to(at::kDouble), first), at::matmul(factors[1].up.to(at::kDouble), second)});
  EXPECT_LE(relativeDifference(got, expected), 1e-4);
  PlanRequest apart = requestOf("commonkv", 0.25);
  apart.grouping = "separate";
  EXPECT_THAT(errorOf(makePlan(shortDecoder(), &shortStatistics(), apart, {})).message,
              HasSubstr("has not all of its heads"));
}

TEST(KvSharer, ALayerReadsWhatAnotherHasStored) {
  CompressionPlan plan = planned(requestOf("svd-llm", 0.5));
  plan.sharedFrom = {0, 0};
  const ModelShape& shape = shortDecoder().shape();
  EXPECT_THAT(validate(plan, shape), ::testing::Contains(HasSubstr("of layer 1, which reads the cache of another")));
  for (Group& group : plan.groups)
    if (group.slots.front().layer == 1) std::ranges::fill(group.widths, std::uint8_t{0});
  EXPECT_THAT(validate(plan, shape), ::testing::IsEmpty());
  EXPECT_EQ(planFromJson(toJson(plan)).value(), plan);
  const PlanFactors factors = factorsOf(plan);
  const PlanTransform shared(plan, factors, shape, at::kCPU);
  CompressionPlan alone = plan;
  alone.sharedFrom.clear();
  const PlanTransform own(alone, factors, shape, at::kCPU);
  const KeyValues first{gaussian({2, 3, 256}, 1).to(at::kFloat), gaussian({2, 3, 256}, 2).to(at::kFloat)};
  const KeyValues second{gaussian({2, 3, 256}, 3).to(at::kFloat), gaussian({2, 3, 256}, 4).to(at::kFloat)};
  const KeyValues stored = shared.beforeRope(0, first), read = shared.beforeRope(1, second),
                  expected = own.beforeRope(0, first);
  EXPECT_EQ(largestDifference(stored.keys, expected.keys), 0);
  EXPECT_EQ(largestDifference(read.keys, expected.keys), 0);
  EXPECT_EQ(largestDifference(read.values, expected.values), 0);

  // A pass that memory stopped before it came to the reader leaves nothing to the next one.
  shared.beginPass();
  shared.beforeRope(0, second);
  shared.beginPass();
  shared.beforeRope(0, first);
  EXPECT_EQ(largestDifference(shared.beforeRope(1, second).keys, expected.keys), 0);

  for (const auto& [map, words] : {std::pair{std::vector<int>{0}, "of 1 layers"},
                                   {std::vector<int>{1, 1}, "Layer 0 reads the cache of layer 1"}}) {
    CompressionPlan wrong = plan;
    wrong.sharedFrom = map;
    EXPECT_THAT(validate(wrong, shape), ::testing::Contains(HasSubstr(words)));
  }
}

TEST(KvSharer, SharesTheMostUnlikeLayersFirstAndStoresNothingForThem) {
  const at::Tensor& ids = shortStatistics().tokenIds;
  SharingRequest request;
  request.threshold = -1;
  const LayerSharing sharing = valueOf(shareLayers(demoDecoder(), demoStatistics().tokenIds, request, {}));
  float largest = 0;
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(sharing.distances.at(i, i), 0);
    for (int j = 0; j < i; ++j) {
      EXPECT_EQ(sharing.distances.at(i, j), sharing.distances.at(j, i));
      largest = std::max(largest, sharing.distances.at(i, j));
    }
  }
  for (int layer = 0; layer < 8; ++layer) {
    const int from = sharing.sharedFrom[static_cast<std::size_t>(layer)];
    if (from != layer) {
      EXPECT_EQ(sharing.distances.at(layer, from), largest);
    }
  }
  EXPECT_EQ(std::ranges::count_if(sharing.sharedFrom, [&, i = 0](int from) mutable { return from != i++; }), 1);
  EXPECT_NEAR(valueOf(cosineWithSharing(demoDecoder(), demoStatistics().tokenIds, sharing.sharedFrom, {})),
              sharing.cosine, 1e-9);
  std::vector<int> each(8);
  for (int i = 0; i < 8; ++i) each[static_cast<std::size_t>(i)] = i;
  EXPECT_NEAR(valueOf(cosineWithSharing(demoDecoder(), demoStatistics().tokenIds, each, {})), 1, 1e-9);
  request.layers = 1;
  request.threshold = 2;
  EXPECT_THAT(errorOf(shareLayers(shortDecoder(), ids, request, {})).message,
              HasSubstr("0 layers can read the cache of another"));
  EXPECT_THAT(errorOf(shareLayers(shortDecoder(), ids, request, {})).hint,
              HasSubstr("Allow a smaller cosine: in the window by"));

  PlanRequest half = requestOf("joint", 0.25);
  half.sharedFrom = {0, 0};
  const PlannedPlan plan = valueOf(makePlan(shortDecoder(), &shortStatistics(), half, {})).planned;
  EXPECT_LE(plan.achievedBytes, plan.requestedBytes);
  EXPECT_GT(plan.plan.groups[0].rank(), 0);
  EXPECT_EQ(plan.plan.groups[1].rank(), 0);
  EXPECT_FALSE(plan.predictedLoss);
}

TEST(Svcca, IsTheMeanCanonicalCorrelationOfTheStrongDirections) {
  const at::Tensor similarity =
      valueOf(valueOf(findMeasure("svcca"))->similarity({shortDecoder(), shortStatistics(), 1, Side::value}));
  at::Tensor rows;
  const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
    if (record.layer == 1) rows = record.values.to(at::kDouble).flatten(0, 1);
    return {};
  };
  valueOf(shortDecoder().forward(shortStatistics().tokenIds.to(at::kLong), nullptr, visitor, false, {}));
  rows = rows - rows.mean(0);
  const auto directions = [&](std::int64_t head) {
    const auto [u, s, v] = at::linalg_svd(rows.narrow(1, kWidth * head, kWidth), false);
    const at::Tensor held = s.square().cumsum(0) / s.square().sum();
    return u.narrow(1, 0, (held < 0.99).sum().item<std::int64_t>() + 1);
  };
  const double expected = at::linalg_svdvals(at::matmul(directions(2).t(), directions(5))).mean().item<double>();
  EXPECT_NEAR(similarity[2][5].item<double>(), expected, 1e-3);
}

TEST(ProjectionDistance, IsOfTheRowSpacesOfTheWeights) {
  const at::Tensor similarity =
      valueOf(valueOf(findMeasure("projection"))->similarity({shortDecoder(), shortStatistics(), 0, Side::key}));
  const at::Tensor weight = shortDecoder().keyWeight(0).to(at::kDouble);
  const auto projectorOf = [&](std::int64_t head) {
    const at::Tensor rows = std::get<2>(at::linalg_svd(weight.narrow(0, kWidth * head, kWidth), false));
    return at::matmul(rows.t(), rows);
  };
  const double distance = (projectorOf(1) - projectorOf(6)).norm().item<double>() / std::sqrt(2.0 * kWidth);
  EXPECT_NEAR(similarity[1][6].item<double>(), 1 - distance, 1e-9);
}

TEST(CacheSpectra, AreOfLayersHeadsAndScores) {
  const auto spectra = [](const SpectraRequest& request) {
    return valueOf(cacheSpectra(shortDecoder(), shortStatistics(), {1}, request, {}));
  };
  const auto joint = spectra({});
  ASSERT_EQ(joint.size(), 2U);
  ASSERT_EQ(joint[0].singularValues.size(), 256U);
  SpectraRequest request;
  request.byHead = true;
  const auto heads = spectra(request);
  ASSERT_EQ(heads.size(), 16U);
  const auto energy = [](const CacheSpectrum& spectrum) {
    double sum = 0;
    for (const double value : spectrum.singularValues) sum += value * value;
    return sum;
  };
  double sum = 0;
  for (int head = 0; head < 8; ++head) sum += energy(heads[static_cast<std::size_t>(head)]);
  EXPECT_NEAR(sum / energy(joint[0]), 1, 1e-9);  // traces of blocks add up
  request.moments = CacheMoments::centred;
  EXPECT_LT(energy(spectra(request)[3]), energy(heads[3]));
  request.moments = CacheMoments::raw;
  request.position = KeyPosition::afterRope;
  EXPECT_NEAR(energy(spectra(request)[3]) / energy(heads[3]), 1, 1e-3);  // rotation keeps lengths, and there is no bias
  request.logits = true;
  const auto scores = spectra(request);
  ASSERT_EQ(scores.size(), 8U);
  const LayerStatistics& sums = shortStatistics().layers[1];
  const at::Tensor product =
      at::matmul(at::linalg_cholesky(sums.rotatedKeys[3]).t(), at::linalg_cholesky(sums.rotatedQueries[3]));
  const at::Tensor values = at::linalg_svdvals(product);
  for (const std::int64_t i : {1, 5, 20})  // up to a common factor
    EXPECT_NEAR(scores[3].singularValues[static_cast<std::size_t>(i)] / scores[3].singularValues[0],
                (values[i] / values[0]).item<double>(), 1e-5);
  request.byHead = false;
  EXPECT_THAT(errorOf(cacheSpectra(shortDecoder(), shortStatistics(), {1}, request, {})).message,
              HasSubstr("head by head"));
}

}  // namespace
}  // namespace kvista::test
