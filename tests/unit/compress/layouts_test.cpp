// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// How heads are compared and put into groups, and the calibration of values.
#include "core/compress/layouts.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/compress/measures/sampled_pairs.h"
#include "core/compress/value_calibration.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

TEST(LayOut, PutsEverySlotIntoOneGroup) {
  const ModelShape& shape = shortDecoder().shape();
  const at::Tensor rows = gaussian({600, 512}, 1);
  const auto similarity = [&]() -> Result<at::Tensor> {
    return headSimilarity(at::matmul(rows.t(), rows), shape, Side::key);
  };
  const std::pair<std::pair<const char*, int>, std::vector<std::size_t>> cases[] = {
      // slots of each group
      {{"joint", 0}, {16}},
      {{"joint", 4}, {8, 8}},
      {{"separate", 4}, {8, 8}},
      {{"head", 4}, std::vector<std::size_t>(16, 1)},
      {{"neighbours", 4}, {4, 4, 8}},
      {{"greedy", 4}, {4, 4, 8}},
      {{"swap", 2}, {2, 2, 2, 2, 8}},
      {{"all", 4}, {8, 8}},
      {{"neighbours-both", 4}, {4, 4, 4, 4}}};
  for (const auto& [grouping, sizes] : cases) {
    SCOPED_TRACE(grouping.first);
    const auto groups = valueOf(layOut({shape, 1, grouping.first, grouping.second, similarity}));
    std::vector<std::size_t> got;
    std::vector<Slot> slots;
    for (const Group& group : groups) {
      got.push_back(group.slots.size());
      EXPECT_TRUE(std::ranges::is_sorted(group.slots, {}, &Slot::side));
      EXPECT_EQ(group.widths, std::vector<std::uint8_t>(32 * group.slots.size(), 16));
      slots.insert(slots.end(), group.slots.begin(), group.slots.end());
    }
    EXPECT_EQ(got, sizes);
    std::ranges::sort(slots);
    ASSERT_EQ(slots.size(), 16U);
    for (int i = 0; i < 16; ++i)
      EXPECT_EQ(slots[static_cast<std::size_t>(i)], (Slot{1, i < 8 ? Side::key : Side::value, i % 8}));
  }
  EXPECT_EQ(errorOf(layOut({shape, 0, "circles", 4, similarity})).code, ErrorCode::invalidArgument);
}

TEST(HeadSimilarity, IsLinearCkaOfTheBlocks) {
  const at::Tensor rows = gaussian({300, 512}, 2);
  const at::Tensor covariance = at::matmul(rows.t(), rows);
  for (const Side side : {Side::key, Side::value}) {
    const at::Tensor similarity = headSimilarity(covariance, shortDecoder().shape(), side);
    ASSERT_EQ(similarity.sizes().vec(), (std::vector<std::int64_t>{8, 8}));
    const auto norm = [&](std::int64_t i, std::int64_t j) {
      const std::int64_t begin = side == Side::key ? 0 : 256;
      return covariance.narrow(0, begin + 32 * i, 32).narrow(1, begin + 32 * j, 32).norm().item<double>();
    };
    for (const auto& [i, j] : {std::pair{0, 0}, {0, 5}, {7, 2}})
      EXPECT_NEAR(similarity[i][j].item<double>(), std::pow(norm(i, j), 2) / (norm(i, i) * norm(j, j)), 1e-9);
  }
}

TEST(Measures, AreOneForAHeadAndItself) {
  for (const Measure& measure : measures()) {
    const at::Tensor similarity = valueOf(measure.similarity({shortDecoder(), shortStatistics(), 1, Side::key}));
    EXPECT_LE(largestDifference(similarity.diagonal(), at::eye(8).diagonal()), 1e-9) << measure.name;
    EXPECT_LE(largestDifference(similarity, similarity.t()), 1e-9) << measure.name;
    EXPECT_GE(similarity.min().item<double>(), 0) << measure.name;
    EXPECT_LE(similarity.max().item<double>(), 1 + 1e-9) << measure.name;
  }
  EXPECT_THAT(errorOf(findMeasure("telepathy")).hint, ::testing::HasSubstr("cka-sink-free"));
}

TEST(Measures, OfWeightsAndOfMapsAreCosines) {
  const auto of = [](const char* name, Side side) {
    return valueOf(valueOf(findMeasure(name))->similarity({shortDecoder(), shortStatistics(), 1, side}));
  };
  const at::Tensor weight = shortDecoder().valueWeight(1).to(at::kDouble);
  const auto head = [&](std::int64_t i) { return weight.narrow(0, 32 * i, 32).flatten(); };
  const double cosine = at::matmul(head(2), head(6)).item<double>() / (head(2).norm() * head(6).norm()).item<double>();
  EXPECT_NEAR(of("weight-cosine", Side::value)[2][6].item<double>(), std::abs(cosine), 1e-9);
  const at::Tensor& maps = shortStatistics().layers[1].attentionMaps;
  EXPECT_NEAR(of("attention", Side::key)[1][4].item<double>(),
              (maps[1][4] / (maps[1][1] * maps[4][4]).sqrt()).item<double>(), 1e-9);
  Statistics older = shortStatistics();
  for (LayerStatistics& layer : older.layers) layer.attentionMaps = at::Tensor();
  EXPECT_THAT(errorOf(valueOf(findMeasure("attention"))->similarity({shortDecoder(), older, 1, Side::key})).message,
              ::testing::HasSubstr("hold no attention maps"));
}

/// Raw outputs [tokens, 512] of layer 1, or with rotated keys, of the text that the statistics are of.
at::Tensor outputsOfLayerOne(bool rotated) {
  at::Tensor seen;
  const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
    if (record.layer == 1)
      seen = at::cat({rotated ? record.rotatedKeys.transpose(1, 2).flatten(2) : record.keys, record.values}, -1)
                 .to(at::kDouble);
    return {};
  };
  valueOf(shortDecoder().forward(shortStatistics().tokenIds.to(at::kLong), nullptr, visitor, false, {}));
  return seen;
}

TEST(Measures, SubspaceIsTheMeanSquaredCosineOfPrincipalAngles) {
  const at::Tensor rows = outputsOfLayerOne(false).flatten(0, 1);
  const auto directions = [&](std::int64_t head) {
    return std::get<0>(at::linalg_svd(rows.narrow(1, 32 * head, 32), false)).narrow(1, 0, 8);  // a quarter of 32
  };
  const at::Tensor angles = std::get<1>(at::linalg_svd(at::matmul(directions(0).t(), directions(5)), false));
  const at::Tensor similarity =
      valueOf(valueOf(findMeasure("subspace"))->similarity({shortDecoder(), shortStatistics(), 1, Side::key}));
  EXPECT_NEAR(similarity[0][5].item<double>(), angles.square().mean().item<double>(), 1e-4);
}

TEST(Measures, CkaAfterRopeComesOfPairsOfDifferentTokens) {
  // Every one of so few tokens is sampled.
  const at::Tensor rows = outputsOfLayerOne(true).narrow(1, 4, kWindow - 4).flatten(0, 1);
  const auto gram = [&](std::int64_t head) {
    const at::Tensor keys = rows.narrow(1, 32 * head, 32);
    at::Tensor products = at::matmul(keys, keys.t());
    products.fill_diagonal_(0);
    return products;
  };
  const auto energy = [&](std::int64_t i, std::int64_t j) { return (gram(i) * gram(j)).sum().item<double>(); };
  const at::Tensor similarity =
      valueOf(valueOf(findMeasure("cka-rotated"))->similarity({shortDecoder(), shortStatistics(), 1, Side::key}));
  EXPECT_NEAR(similarity[3][7].item<double>(), energy(3, 7) / std::sqrt(energy(3, 3) * energy(7, 7)),
              2e-2);  // sampled in bfloat16
}

/// As svcca-rotated and subspace-rotated have it, pair by pair: Gram matrices of whitened rows without their diagonals.
double alikeOf(const at::Tensor& a, const at::Tensor& b) {
  const auto gram = [](const at::Tensor& rows) {
    at::Tensor products = at::matmul(rows, rows.t());
    products.fill_diagonal_(0);
    return products;
  };
  const at::Tensor one = gram(a), other = gram(b);
  return (one * other).sum().item<double>() / (one.norm() * other.norm()).item<double>();
}

TEST(Measures, AfterRopeTakeDirectionsOfAllTokensAndPairsOfTheSampledOnes) {
  const at::Tensor all = outputsOfLayerOne(true).narrow(2, 0, 256);
  // Every one of so few tokens beyond the sinks is sampled.
  const at::Tensor sampled = all.narrow(1, 4, kWindow - 4).flatten(0, 1);
  const auto of = [](const char* name) {
    return valueOf(valueOf(findMeasure(name))->similarity({shortDecoder(), shortStatistics(), 1, Side::key}));
  };
  const auto strongest = [&](std::int64_t head) {
    const at::Tensor rows = all.flatten(0, 1).narrow(1, 32 * head, 32);
    const auto [u, s, v] = at::linalg_svd(rows, false);
    return at::matmul(sampled.narrow(1, 32 * head, 32), v.narrow(0, 0, 8).t() / s.narrow(0, 0, 8));
  };
  EXPECT_NEAR(of("subspace-rotated")[2][5].item<double>(), alikeOf(strongest(2), strongest(5)),
              2e-2);  // sampled in bfloat16
  const auto canonical = [&](std::int64_t head) {
    const at::Tensor rows = all.flatten(0, 1).narrow(1, 32 * head, 32), own = sampled.narrow(1, 32 * head, 32);
    const auto [u, s, v] = at::linalg_svd(rows - rows.mean(0), false);
    const std::int64_t rank = (s.square().cumsum(0) / s.square().sum() < 0.99).sum().item<std::int64_t>() + 1;
    return at::matmul(own - own.mean(0), v.narrow(0, 0, rank).t() / s.narrow(0, 0, rank));
  };
  EXPECT_NEAR(of("svcca-rotated")[3][7].item<double>(), std::sqrt(alikeOf(canonical(3), canonical(7))), 2e-2);
  EXPECT_GT(largestDifference(of("subspace-rotated"), of("subspace")), 0.05);  // RoPE changes what keys have in common
}

TEST(Measures, OfPairsAreOneForRotatedCopiesAndNothingForStrangersHoweverFewTheTokens) {
  const at::Tensor head = gaussian({100, 32}, 1), turn = std::get<0>(at::linalg_qr(gaussian({32, 32}, 2)));
  const at::Tensor similarity = alikeOverPairs({head, 3 * at::matmul(head, turn), gaussian({100, 32}, 3),
                                                gaussian({100, 24}, 4), at::zeros({100, 0}, at::kDouble)});
  EXPECT_NEAR(similarity[0][1].item<double>(), 1, 1e-12);
  for (const auto& [i, j] : {std::pair{0, 2}, {0, 3}, {1, 2}, {2, 3}}) EXPECT_LT(similarity[i][j].item<double>(), 0.05);
  EXPECT_EQ(similarity[0][4].item<double>(), 0);  // a head without directions is like nothing
  EXPECT_EQ(similarity[4][4].item<double>(), 1);
  const at::Tensor products = at::matmul(head.t(), gaussian({100, 32}, 3));
  const double naive =
      products.square().sum().item<double>() /
      (at::matmul(head.t(), head).norm() * at::matmul(gaussian({100, 32}, 3).t(), gaussian({100, 32}, 3)).norm())
          .item<double>();
  EXPECT_GT(naive, 0.2);  // what the same tokens say with the pairs of a token with itself
}

TEST(Measures, AfterRopeOfStatisticsWithoutTheMeanAreRefused) {
  Statistics older = shortStatistics();
  for (LayerStatistics& layer : older.layers) layer.rotatedKeySum = at::Tensor();
  EXPECT_THAT(errorOf(valueOf(findMeasure("svcca-rotated"))->similarity({shortDecoder(), older, 1, Side::key})).message,
              ::testing::HasSubstr("no mean of keys after RoPE"));
  EXPECT_TRUE(valueOf(findMeasure("subspace-rotated"))->similarity({shortDecoder(), older, 1, Side::key}));
}

TEST(Measures, TheReleasedCkaCentresOverWhitenedCoordinates) {
  const MeasureRequest request{shortDecoder(), shortStatistics(), 1, Side::value};
  const at::Tensor covariance = outputMoments(request, false).second.narrow(0, 256, 256).narrow(1, 256, 256);
  auto [values, vectors] = at::linalg_eigh(covariance);
  for (std::int64_t i = 0; i < 256; ++i) {
    const at::Tensor column = vectors.select(1, i);
    if (column[column.abs().argmax().item<std::int64_t>()].item<double>() < 0) column.neg_();
  }
  const at::Tensor coordinates = vectors * values.clamp_min(0).sqrt();
  const at::Tensor centred = coordinates - coordinates.mean(1, true);
  const auto energy = [&](std::int64_t i, std::int64_t j) {
    return at::matmul(centred.narrow(0, 32 * i, 32), centred.narrow(0, 32 * j, 32).t()).norm().item<double>();
  };
  const at::Tensor similarity = valueOf(valueOf(findMeasure("cka-released"))->similarity(request));
  const at::Tensor uncentred = valueOf(valueOf(findMeasure("cka"))->similarity(request));
  for (const auto& [i, j] : {std::pair{0, 1}, {0, 5}, {7, 2}})
    EXPECT_NEAR(similarity[i][j].item<double>(), std::pow(energy(i, j), 2) / (energy(i, i) * energy(j, j)), 1e-9);
  EXPECT_GT(largestDifference(similarity, uncentred), 1e-6);
}

struct Calibration {
  at::Tensor covariance;
  GroupFactors factors;  // the best of rank 6

  Calibration() {
    const at::Tensor rows = at::matmul(gaussian({400, 20}, 3), gaussian({20, 20}, 4));
    covariance = at::matmul(rows.t(), rows) / 400;
    const auto [values, vectors] = at::linalg_eigh(covariance);
    factors.up = vectors.narrow(1, 14, 6).to(at::kFloat);
    factors.down = factors.up.t().contiguous();
    factors.widths.assign(6, 16);
    factors.steps = at::Tensor();
  }
  [[nodiscard]] double error(const GroupFactors& with) const {
    const at::Tensor lost = at::eye(20, at::kDouble) - at::matmul(with.up.to(at::kDouble), with.down.to(at::kDouble));
    return at::matmul(at::matmul(lost, covariance), lost.t()).trace().item<double>();
  }
};

TEST(CalibrateValues, LeavesTheFixedPoint) {
  const Calibration data;
  const GroupFactors after = valueOf(calibrateValues(data.factors, data.covariance, data.covariance));
  EXPECT_LE(relativeDifference(at::matmul(after.up, after.down), at::matmul(data.factors.up, data.factors.down)), 1e-4);
  EXPECT_EQ(after.widths, data.factors.widths);
}

TEST(CalibrateValues, ImprovesADisturbedLatent) {
  const Calibration data;
  GroupFactors disturbed = data.factors;
  disturbed.down = disturbed.down + 0.3 * gaussian({6, 20}, 5).to(at::kFloat);
  const GroupFactors after = valueOf(calibrateValues(disturbed, data.covariance, data.covariance));
  EXPECT_LT(data.error(after), 0.9 * data.error(disturbed));
  EXPECT_GE(data.error(after), (1 - 1e-5) * data.error(data.factors));  // the best there is
  EXPECT_LE(largestDifference(at::matmul(after.down, after.up), at::eye(6)), 1e-4);
}

TEST(CalibrateValues, RebuildsTheOutputsOfTheModelAsItIs) {
  // y2 = y1 T: what is rebuilt from y2 is y1, as far as the latent tells.
  const Calibration data;
  const at::Tensor turn = at::eye(20, at::kDouble) + 0.2 * gaussian({20, 20}, 6);
  const at::Tensor crossed = at::matmul(data.covariance, turn);
  const at::Tensor behind = at::matmul(turn.t(), crossed);
  const GroupFactors after = valueOf(calibrateValues(data.factors, crossed, behind));
  // Mean of |y1 - up down y2|^2.
  const auto error = [&](const GroupFactors& factors) {
    const at::Tensor kept = at::matmul(factors.up.to(at::kDouble), factors.down.to(at::kDouble));
    const at::Tensor rebuilt = at::matmul(at::matmul(kept, behind), kept.t());
    return (data.covariance - 2 * at::matmul(kept, crossed.t()) + rebuilt).trace().item<double>();
  };
  EXPECT_LT(error(after), error(data.factors));
  // down is the best for its up: kept C22 is C12 within the columns of up.
  const at::Tensor up = after.up.to(at::kDouble);
  const at::Tensor kept = at::matmul(up, after.down.to(at::kDouble));
  EXPECT_LE(relativeDifference(at::matmul(up.t(), at::matmul(kept, behind)), at::matmul(up.t(), crossed)), 1e-5);
}

}  // namespace
}  // namespace kvista::test
