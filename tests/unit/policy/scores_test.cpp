// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Each policy's scores against its formula, written out.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/model/attention.h"
#include "core/policy/attention_scores.h"
#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

constexpr std::int64_t kTokens = 60;

std::unique_ptr<TokenScorer> scorerOf(std::string_view name, const std::map<std::string, std::string>& options = {}) {
  const Policy& policy = *valueOf(findPolicy(name));
  return policy.makeScorer(valueOf(PolicySettings::of(name, policy.allOptions(), options)));
}

const PolicyCase& readCase() {
  static const PolicyCase made = PolicyCase::read({.policy = "snapkv"}, kTokens);
  return made;
}

LayerView viewOf(int layer) {
  return {shortDecoder(), layer, readCase().cache.layers[static_cast<std::size_t>(layer)], kTokens};
}

/// Attention of sequence 1's last `queries` queries in `layer`, head `head`, by the plain formula: [queries, tokens].
std::vector<std::vector<double>> attentionByHand(int layer, int head, std::int64_t queries) {
  const LiveLayer& cache = viewOf(layer).cache;
  std::vector<std::vector<double>> rows;
  for (std::int64_t i = 0; i < queries; ++i) {
    const std::int64_t place = kTokens - queries + i;
    const at::Tensor query = cache.queries[1][head][cache.queries.size(2) - queries + i].to(at::kDouble);
    std::vector<double> row(kTokens, 0);
    double sum = 0;
    for (std::int64_t j = 0; j <= place; ++j)
      sum += row[static_cast<std::size_t>(j)] =
          std::exp(cache.keys[1][head][j].to(at::kDouble).dot(query).item<double>() / std::sqrt(32.0));
    for (double& weight : row) weight /= sum;
    rows.push_back(row);
  }
  return rows;
}

TEST(Scores, SnapKvIsTheLargestSummedAttentionAround) {
  const at::Tensor scores = valueOf(scorerOf("snapkv", {{"queries", "8"}, {"reach", "2"}})->score(viewOf(1)));
  // Of the case's 32 queries the scorer is given all; read again with 8.
  PolicyCase made = PolicyCase::read({.policy = "snapkv", .options = {{"queries", "8"}}}, kTokens);
  EXPECT_EQ(made.cache.layers[1].queries.size(2), 8);
  const at::Tensor own = valueOf(scorerOf("snapkv", {{"queries", "8"}, {"reach", "2"}})
                                     ->score({shortDecoder(), 1, made.cache.layers[1], kTokens}));
  EXPECT_EQ(scores.sizes(), own.sizes());
  const auto attention = attentionByHand(1, 3, 8);
  for (int j = 0; j < kTokens; ++j) {
    double largest = 0;
    const int border = kTokens - 8;  // The last 8 tokens, whose queries ask, are no neighbours of those before.
    for (int k = std::max(j < border ? 0 : border, j - 2);
         k <= std::min<int>((j < border ? border : kTokens) - 1, j + 2); ++k) {
      double sum = 0;
      for (const auto& row : attention) sum += row[static_cast<std::size_t>(k)];
      largest = std::max(largest, sum);
    }
    EXPECT_NEAR(own[1][3][j].item<double>(), largest, 1e-4) << j;
  }
}

TEST(Scores, L2NormIsTheKeysLengthWithAMinus) {
  const at::Tensor scores = valueOf(scorerOf("l2-norm")->score(viewOf(0)));
  double squares = 0;
  for (int c = 0; c < 32; ++c) squares += std::pow(viewOf(0).cache.keys[1][2][17][c].item<double>(), 2);
  EXPECT_NEAR(scores[1][2][17].item<double>(), -std::sqrt(squares), 1e-4);
}

TEST(Scores, CurDkvIsThePartOfTheNeighboursLeverage) {
  const at::Tensor scores = valueOf(scorerOf("curdkv")->score(viewOf(1)));
  const LiveLayer& cache = viewOf(1).cache;
  const auto square = [&](const at::Tensor& rows, int j) {
    return rows[1][2][j].to(at::kDouble).square().sum().item<double>();
  };
  for (const int j : {0, 15, 16, 40, 59}) {
    double keys = 0, values = 0;
    for (int k = j / 16 * 16; k < std::min<int>(kTokens, j / 16 * 16 + 16); ++k) {
      keys += square(cache.keys, k);
      values += square(cache.values, k);
    }
    EXPECT_NEAR(scores[1][2][j].item<double>(), square(cache.keys, j) / keys * square(cache.values, j) / values, 1e-6)
        << j;
  }
}

TEST(Scores, StreamingLlmKeepsTheLatest) {
  const at::Tensor scores = valueOf(scorerOf("streaming-llm")->score(viewOf(0)));
  EXPECT_TRUE(scores.narrow(2, 1, kTokens - 1).gt(scores.narrow(2, 0, kTokens - 1)).all().item<bool>());
}

TEST(Scores, ChunkKvSumsChunksOverHeads) {
  const auto scorer = scorerOf("chunkkv", {{"over", "l2-norm"}, {"size", "7"}, {"reuse", "2"}});
  const at::Tensor chunks = valueOf(scorer->score(viewOf(0)));
  const at::Tensor plain = valueOf(scorerOf("l2-norm")->score(viewOf(0)));
  for (const int j : {0, 6, 7, 33, 59}) {
    double sum = 0;
    for (int head = 0; head < 8; ++head)
      for (int k = j / 7 * 7; k < std::min<int>(kTokens, j / 7 * 7 + 7); ++k)
        sum += plain[1][head][k].item<double>() / 8;
    for (const int head : {0, 5}) EXPECT_NEAR(chunks[1][head][j].item<double>(), sum, 1e-3) << j;
  }
  EXPECT_TRUE(valueOf(scorer->score(viewOf(1))).equal(chunks));  // the second layer keeps the first one's
}

TEST(Scores, ChunkKvSumsAttentionAsItIs) {
  const at::Tensor chunks = valueOf(scorerOf("chunkkv", {{"size", "6"}})->score(viewOf(1)));
  const at::Tensor attention = recentAttentionOf(viewOf(1)).sum(2).mean(1);  // [b, s], not pooled
  const at::Tensor sums = attention.unflatten(1, {kTokens / 6, 6}).sum(2);
  EXPECT_TRUE(chunks.select(1, 0).allclose(sums.repeat_interleave(6, 1), 1e-4, 1e-5));
}

TEST(Scores, ChunksAreReusedWhereALayerHoldsOtherPlaces) {
  const auto scorer = scorerOf("chunkkv", {{"over", "l2-norm"}, {"size", "7"}, {"reuse", "2"}});
  const at::Tensor first = valueOf(scorer->score(viewOf(0)));
  LiveLayer fewer = viewOf(1).cache;  // as after it has acted
  fewer.keys = fewer.keys.narrow(2, 3, 50);
  fewer.positions = fewer.positions.narrow(2, 3, 50);
  EXPECT_TRUE(valueOf(scorer->score({shortDecoder(), 1, fewer, kTokens})).equal(first.narrow(2, 3, 50)));
}

TEST(Scores, AQueryThatSeesNothingOfWhatIsLeftGivesNothing) {
  LiveLayer late = viewOf(0).cache;  // of 60 tokens the last three, asked for by the last 32 queries
  late.keys = late.keys.narrow(2, 57, 3);
  late.values = late.values.narrow(2, 57, 3);
  late.positions = late.positions.narrow(2, 57, 3);
  const at::Tensor sums = shortDecoder().recentAttention(0, late, kTokens).sum(3);
  EXPECT_EQ(sums.narrow(2, 0, 29).abs().max().item<double>(), 0);
  EXPECT_LT((sums.narrow(2, 29, 3) - 1).abs().max().item<double>(), 1e-5);
}

TEST(Scores, ChunksGoWhole) {
  PolicyCase made =
      PolicyCase::read({.policy = "chunkkv", .options = {{"size", "6"}, {"window", "6"}}, .share = 0.4}, kTokens);
  made.act();  // 24 of 60 tokens
  const std::vector<std::int64_t> held = heldBy(made.cache.layers[0], 0, 0);
  ASSERT_EQ(held.size(), 24U);
  for (std::size_t i = 0; i < held.size(); ++i)
    EXPECT_EQ(held[i], held[i / 6 * 6] + static_cast<std::int64_t>(i % 6)) << "chunks of 6 in a row";
}

TEST(Scores, KvZipIsTheHighestAttentionOfASecondReading) {
  const auto scorer = scorerOf("kvzip");
  const at::Tensor twice = at::cat({readCase().ids, readCase().ids}, 1);
  ASSERT_TRUE(scorer->prepare(shortDecoder(), readCase().cache, readCase().ids, {}));
  const auto visitor = [&](const LayerRecord& record) -> Result<void> {
    const at::Tensor places = at::arange(kTokens, 2 * kTokens);
    const AttentionDescription& attention =
        shortDecoder().description().layers[static_cast<std::size_t>(record.layer)].attention;
    const at::Tensor weights =
        attentionWeights(attention, record.rotatedQueries.narrow(2, kTokens, kTokens), record.rotatedKeys, places);
    const at::Tensor expected = weights.narrow(3, 0, kTokens).amax(2);  // as many query heads as kv heads
    EXPECT_LT(largestDifference(valueOf(scorer->score(viewOf(record.layer))), expected), 1e-4);
    return {};
  };
  valueOf(shortDecoder().forward(twice, nullptr, visitor, false, {}));
}

TEST(Scores, DBudgetKvKeepsNoMoreThanTheNormNeeds) {
  PolicyCase made = PolicyCase::read(
      {.policy = "dbudgetkv", .options = {{"over", "l2-norm"}, {"loss", "0.05"}, {"sinks", "1"}, {"window", "2"}}},
      kTokens);
  const at::Tensor plain = valueOf(scorerOf("l2-norm")->score(viewOf(0)));
  made.cache.layers[0].queries = viewOf(0).cache.queries.narrow(2, 31, 1);
  made.act();
  const auto attention = attentionByHand(0, 4, 1).front();
  const auto norm = [&](const std::vector<std::int64_t>& held) {
    double sum = 0;
    for (const std::int64_t j : held) sum += std::pow(attention[static_cast<std::size_t>(j)], 2);
    return std::sqrt(sum);
  };
  std::vector<std::int64_t> held = heldBy(made.cache.layers[0], 1, 4), all(kTokens);
  for (std::int64_t j = 0; j < kTokens; ++j) all[static_cast<std::size_t>(j)] = j;
  EXPECT_LT(held.size(), static_cast<std::size_t>(kTokens));
  EXPECT_GE(norm(held), 0.95 * norm(all) - 1e-6);
  // Without the lowest that was chosen it would be too little.
  std::erase_if(held, [](std::int64_t j) { return j == 0 || j >= kTokens - 2; });
  if (held.empty()) return;
  const std::int64_t lowest =
      *std::ranges::min_element(held, {}, [&](std::int64_t j) { return plain[1][4][j].item<double>(); });
  std::vector<std::int64_t> fewer = heldBy(made.cache.layers[0], 1, 4);
  std::erase(fewer, lowest);
  EXPECT_LT(norm(fewer), 0.95 * norm(all));
}

TEST(Scores, KvZipGivesHeadsDifferentNumbersOfTokens) {
  PolicyCase made = PolicyCase::read({.policy = "kvzip", .options = {{"window", "4"}}, .share = 0.3}, kTokens);
  made.act();
  std::vector<std::size_t> counts;
  for (const LiveLayer& layer : made.cache.layers)
    for (int head = 0; head < 8; ++head) counts.push_back(heldBy(layer, 0, head).size());
  EXPECT_NE(std::ranges::min(counts), std::ranges::max(counts));
  const LiveCache before = made.cache;
  EXPECT_TRUE(shortDecoder().extend(made.ids.narrow(1, 0, 3), made.cache, nullptr, {}));  // and is read on with
  EXPECT_EQ(heldBy(made.cache.layers[0], 0, 1).size(), heldBy(before.layers[0], 0, 1).size() + 3);
}

TEST(Ranks, EqualScoresKeepTheirOrder) {
  const at::Tensor ranks = ranksOf(at::tensor({1.0F, 3.0F, 1.0F, 3.0F}));
  EXPECT_TRUE(ranks.equal(at::tensor({2, 0, 3, 1}, at::kLong)));
}

}  // namespace
}  // namespace kvista::test
