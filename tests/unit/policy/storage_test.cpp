// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Policies that change how tokens are held: what is read back, and what it takes.
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <set>

#include "core/policy/quantise.h"
#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

constexpr std::int64_t kTokens = 60;

struct Held {
  PolicyCase before, after;
  [[nodiscard]] const LiveLayer& was() const { return before.cache.layers[1]; }
  [[nodiscard]] const LiveLayer& is() const { return after.cache.layers[1]; }
  /// Of one head of one layer.
  [[nodiscard]] std::int64_t headBytes() const { return after.run.bytes(after.cache)[0].item<std::int64_t>() / 16; }
};

Held heldAs(const std::string& policy, const std::map<std::string, std::string>& options = {}, double share = 1) {
  const PolicyRequest request{.policy = policy, .options = options, .share = share};
  Held held{PolicyCase::read(request, kTokens), PolicyCase::read(request, kTokens)};
  held.after.act();
  return held;
}

std::size_t distinct(const at::Tensor& numbers) {
  std::set<float> values;
  const at::Tensor flat = numbers.contiguous().flatten();
  for (std::int64_t i = 0; i < flat.numel(); ++i) values.insert(flat[i].item<float>());
  return values.size();
}

TEST(Quantised, KeepsTheEndsAndErrsByHalfAStep) {
  const at::Tensor x = gaussian({5, 40}, 1).to(at::kFloat);
  const at::Tensor step = (x.amax({1}, true) - x.amin({1}, true)) / 7;
  const at::Tensor back = quantised(x, 1, 3);
  EXPECT_LE(((back - x).abs() / step).max().item<double>(), 0.51);
  for (int row = 0; row < 5; ++row) EXPECT_LE(distinct(back[row]), 8U);
  EXPECT_LT(largestDifference(quantised(back, 1, 3), back), 1e-3);  // what is stored stays as it is
}

TEST(Storage, KiviSharesScalesAlongChannelsOfKeysAndAlongTokensValues) {
  const Held held = heldAs("kivi", {{"bits", "2"}, {"group", "16"}, {"window", "20"}});
  // 40 tokens are older than the window: keys of two blocks of 16, values of 40.
  EXPECT_TRUE(held.is().keys.narrow(2, 32, 28).equal(held.was().keys.narrow(2, 32, 28)));
  EXPECT_TRUE(held.is().values.narrow(2, 40, 20).equal(held.was().values.narrow(2, 40, 20)));
  EXPECT_LE(distinct(held.is().keys[1][3].narrow(0, 16, 16).select(1, 5)), 4U);
  EXPECT_LE(distinct(held.is().values[1][3][39].narrow(0, 16, 16)), 4U);
  EXPECT_GT(distinct(held.is().keys[1][3].narrow(0, 0, 32).select(1, 5)), 4U);
  EXPECT_EQ(held.headBytes(), 32 * 32 / 4 + 2 * 32 * 4 + 28 * 64 + 40 * (8 + 2 * 4) + 20 * 64);
}

TEST(Storage, KiviLeavesStoredBlocksAlone) {
  PolicyCase made = PolicyCase::read({.policy = "kivi", .options = {{"group", "8"}, {"window", "8"}}}, 40);
  made.act();
  const at::Tensor first = made.cache.layers[0].keys.narrow(2, 0, 32).clone();
  const at::Tensor all = demoWindows(2).ids.narrow(1, 0, 60);
  valueOf(shortDecoder().extend(all.narrow(1, 40, 20), made.cache, nullptr, {}));
  const std::int64_t before = made.run.bytes(made.cache)[0].item<std::int64_t>();
  ASSERT_TRUE(made.run.act(made.cache, all, {}));
  EXPECT_TRUE(made.cache.layers[0].keys.narrow(2, 0, 32).equal(first));
  EXPECT_LT(made.run.bytes(made.cache)[0].item<std::int64_t>(),
            before);  // until it acted, the 20 new tokens had 16 bits
}

TEST(Storage, Fp8HasThreeBitsOfMantissa) {
  const Held held = heldAs("fp8");
  EXPECT_LE(((held.is().keys - held.was().keys).abs() / held.was().keys.abs().amax({3}, true)).max().item<double>(),
            1.0 / 16);
  EXPECT_LE(relativeDifference(held.is().values, held.was().values), 0.05);
  EXPECT_GT(relativeDifference(held.is().values, held.was().values), 0.005);
  EXPECT_EQ(held.headBytes(), kTokens * (32 + 32 + 4));
}

TEST(Storage, HadamardSpreadsWhatSticksOut) {
  const Held held = heldAs("hadamard", {{"bits", "8"}});
  EXPECT_LE(relativeDifference(held.is().keys, held.was().keys), 0.01);
  EXPECT_EQ(held.headBytes(), kTokens * (32 + 32 + 8));
  // One large number among zeros: rotated, all are of one size, and two levels say it.
  const Policy& policy = *valueOf(findPolicy("hadamard"));
  const auto storage = policy.makeStorage(valueOf(PolicySettings::of("hadamard", policy.allOptions(), {{"bits", "1"}})),
                                          shortDecoder().shape());
  LiveLayer layer = held.before.cache.layers[0];
  layer.keys = layer.keys * 0;
  layer.keys.select(3, 7).fill_(3);
  const LiveLayer before = layer;
  ASSERT_TRUE(storage->store({shortDecoder(), 0, before, kTokens}, layer));
  EXPECT_LT(largestDifference(layer.keys, before.keys), 1e-2);
}

TEST(Storage, ZipCacheGivesSalientTokensMoreBits) {
  const Held held = heldAs("zipcache", {{"salient", "0.25"}});
  EXPECT_EQ(held.headBytes(), 15 * 32 + 45 * 16 + kTokens * 8 + 8 + 2 * 64);
  const at::Tensor errors = (held.is().values - held.was().values).square().sum(3);  // most of the fewer bits
  const Held all = heldAs("zipcache", {{"salient", "1"}});
  const at::Tensor least = (all.is().values - all.was().values).square().sum(3);
  EXPECT_EQ(errors[0][2].le(least[0][2] * 1.0001 + 1e-9).sum().item<std::int64_t>() >= 15, true);
  EXPECT_GT(errors.sum().item<double>(), 2 * least.sum().item<double>());
}

TEST(Storage, ZipCacheCountsTheTokensThatAHeadHolds) {
  const PolicyCase read = PolicyCase::read({.policy = "zipcache"}, kTokens);
  LiveLayer layer = read.cache.layers[1];
  layer.positions = layer.positions.clone();
  layer.positions.select(1, 2).narrow(1, 20, 40).fill_(-1);  // head 2 holds 20 of 60 places
  const LiveLayer before = layer;
  const Policy& policy = *valueOf(findPolicy("zipcache"));
  const auto storage = policy.makeStorage(
      valueOf(PolicySettings::of("zipcache", policy.allOptions(), {{"salient", "0.25"}, {"high", "8"}, {"low", "1"}})),
      shortDecoder().shape());
  ASSERT_TRUE(storage->store({shortDecoder(), 1, before, kTokens}, layer));
  const at::Tensor errors = (layer.values - before.values).norm(2, {3}) / before.values.norm(2, {3});
  EXPECT_EQ(errors[0][2].narrow(0, 0, 20).lt(0.1).sum().item<std::int64_t>(), 5);
  EXPECT_EQ(errors[0][3].lt(0.1).sum().item<std::int64_t>(), 15);
}

TEST(Storage, ThinkDropsTheChannelsThatQueriesAskLeastFor) {
  const Held held = heldAs("think", {{"kept", "0.25"}, {"window", "10"}});
  EXPECT_TRUE(held.is().keys.narrow(2, 50, 10).equal(held.was().keys.narrow(2, 50, 10)));
  EXPECT_TRUE(held.is().values.equal(held.was().values));
  EXPECT_EQ(held.headBytes(), 2 * (10 * 32 + 50 * 8 + kTokens * 32) + 4);
  std::vector<std::pair<double, int>> byHand;
  for (int c = 0; c < 32; ++c) {
    const double queries = held.was().queries[1][6].select(1, c).to(at::kDouble).square().mean().item<double>();
    const double keys =
        held.was().keys[1][6].narrow(0, 0, 50).select(1, c).to(at::kDouble).square().mean().item<double>();
    byHand.emplace_back(-queries * keys, c);
  }
  std::ranges::sort(byHand);
  for (int rank = 0; rank < 32; ++rank)
    EXPECT_EQ(held.is()
                      .keys[1][6]
                      .narrow(0, 0, 50)
                      .select(1, byHand[static_cast<std::size_t>(rank)].second)
                      .abs()
                      .sum()
                      .item<double>() > 0,
              rank < 8)
        << rank;
}

TEST(Storage, DecoQuantIsTheBlockUpToItsLargeFactorsCodes) {
  const Held held = heldAs("decoquant", {{"bits", "8"}, {"block", "16"}, {"window", "20"}});
  EXPECT_TRUE(held.is().keys.narrow(2, 32, 28).equal(held.was().keys.narrow(2, 32, 28)));
  const auto error = [](const Held& one) {
    return relativeDifference(one.is().keys.narrow(2, 0, 32), one.was().keys.narrow(2, 0, 32));
  };
  EXPECT_LT(error(held), 0.02);
  EXPECT_GT(error(heldAs("decoquant", {{"bits", "2"}, {"block", "16"}, {"window", "20"}})), 2 * error(held));
  EXPECT_EQ(held.headBytes(), 2 * 2 * (16 * 32 + 8 * 4 + 64 * 2) + 28 * 128);
}

TEST(Storage, TakesTheMostBitsThatFit) {
  EXPECT_EQ(heldAs("hadamard", {}, 0.4).headBytes(), kTokens * (16 + 16 + 8));  // 4 bits are .3125 of 16, 8 bits .5625
  const Held held = heldAs("zipcache", {}, 0.3);
  EXPECT_LE(held.headBytes(), 0.3 * kTokens * 128);
  EXPECT_GT(held.headBytes(), 0.27 * kTokens * 128);
}

TEST(Storage, GoesWithAChoiceOfTokens) {
  PolicyCase made = PolicyCase::read({.policy = "snapkv+fp8", .options = {{"window", "4"}}, .share = 0.25}, kTokens);
  made.act();
  const std::size_t held = heldBy(made.cache.layers[0], 0, 0).size();
  EXPECT_EQ(held, 28U);  // 15 tokens' worth of 16 bits: 60 * .25 * 128 / 68 = 28.2
  EXPECT_EQ(made.run.bytes(made.cache)[0].item<std::int64_t>() / 68 / 16, 28);
}

}  // namespace
}  // namespace kvista::test
