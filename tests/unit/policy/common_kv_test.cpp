// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// CommonKV's merging of layers: what is merged, what is read back, what it takes.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "core/compress/common_layers.h"
#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

constexpr std::int64_t kTokens = 60;

PolicyRequest merging(const std::string& merged) {
  return {.policy = "commonkv", .options = {{"merged", merged}, {"layers", "2"}, {"sinks", "2"}, {"window", "6"}}};
}

/// Which tokens of a sequence two layers hold alike.
std::vector<bool> mergedIn(const LiveCache& cache, int sequence) {
  std::vector<bool> merged;
  for (std::int64_t place = 0; place < cache.tokens; ++place) {
    const auto same = [&](const at::Tensor& a, const at::Tensor& b) {
      return a[sequence].select(1, place).equal(b[sequence].select(1, place));
    };
    merged.push_back(same(cache.layers[0].keys, cache.layers[1].keys) &&
                     same(cache.layers[0].values, cache.layers[1].values));
  }
  return merged;
}

TEST(CommonKv, HoldsTheTokensThatAreMostAlikeOnceAsTheirMean) {
  const PolicyCase before = PolicyCase::read(merging("0.5"), kTokens);
  PolicyCase after = PolicyCase::read(merging("0.5"), kTokens);
  after.act();
  const auto tokenOf = [&](const LiveLayer& layer, int sequence, std::int64_t place) {
    return at::cat({layer.keys[sequence].select(1, place).flatten(), layer.values[sequence].select(1, place).flatten()})
        .to(at::kDouble);
  };
  for (const int sequence : {0, 1}) {
    const std::vector<bool> merged = mergedIn(after.cache, sequence);
    EXPECT_EQ(std::ranges::count(merged, true), 26);  // half of the 52 between the first 2 and the last 6
    double leastMerged = 1, mostLeft = -1;
    for (std::int64_t place = 0; place < kTokens; ++place) {
      const at::Tensor a = tokenOf(before.cache.layers[0], sequence, place),
                       b = tokenOf(before.cache.layers[1], sequence, place);
      const bool isMerged = merged[static_cast<std::size_t>(place)];
      const at::Tensor expected = isMerged ? (a + b) / 2 : a;
      EXPECT_LT(largestDifference(tokenOf(after.cache.layers[0], sequence, place), expected), 1e-5);
      if (!isMerged) {
        EXPECT_TRUE(tokenOf(after.cache.layers[1], sequence, place).equal(b));
      }
      if (place < 2 || place >= kTokens - 6) {
        EXPECT_FALSE(isMerged);
        continue;
      }
      const double cosine = (a.dot(b) / (a.norm() * b.norm())).item<double>();
      if (isMerged)
        leastMerged = std::min(leastMerged, cosine);
      else
        mostLeft = std::max(mostLeft, cosine);
    }
    EXPECT_GE(leastMerged, mostLeft - 1e-6);
    // A merged token is held by one of the two layers; a bit for each of 52 tokens says which.
    EXPECT_EQ(after.run.bytes(after.cache)[sequence].item<std::int64_t>(),
              fullBytes(kTokens) - 26 * fullBytes(1) / 2 + 7);
  }
}

TEST(CommonKv, LeavesAllAsItIsWhereNothingIsMerged) {
  const PolicyCase before = PolicyCase::read(merging("0"), kTokens);
  PolicyCase after = PolicyCase::read(merging("0"), kTokens);
  after.act();
  for (std::size_t layer = 0; layer < 2; ++layer) {
    EXPECT_TRUE(after.cache.layers[layer].keys.equal(before.cache.layers[layer].keys));
    EXPECT_TRUE(after.cache.layers[layer].values.equal(before.cache.layers[layer].values));
  }
  EXPECT_EQ(after.run.bytes(after.cache)[0].item<std::int64_t>(), fullBytes(kTokens));
}

TEST(CommonKv, WhatIsMergedStaysAndMoreIsMergedAsTheTextGrows) {
  PolicyCase made = PolicyCase::read(merging("0.5"), 40);
  made.act();
  const std::vector<bool> before = mergedIn(made.cache, 0);
  EXPECT_EQ(std::ranges::count(before, true), 16);
  const at::Tensor keys = made.cache.layers[1].keys, all = demoWindows(2).ids.narrow(1, 0, kTokens);
  valueOf(shortDecoder().extend(all.narrow(1, 40, 20), made.cache, nullptr, {}));
  const std::int64_t sixteen = fullBytes(20);  // what came stays apart until it acts
  EXPECT_EQ(made.run.bytes(made.cache)[0].item<std::int64_t>(), fullBytes(40) - 16 * fullBytes(1) / 2 + 4 + sixteen);
  ASSERT_TRUE(made.run.act(made.cache, all, {}));
  const std::vector<bool> after = mergedIn(made.cache, 0);
  EXPECT_EQ(std::ranges::count(after, true), 26);
  for (std::int64_t place = 0; place < 40; ++place)
    if (before[static_cast<std::size_t>(place)]) {
      EXPECT_TRUE(made.cache.layers[1].keys[0].select(1, place).equal(keys[0].select(1, place)));
    }
}

TEST(CommonKv, MergesAsManyTokensAsTheShareAsksFor) {
  for (const double share : {0.95, 0.8, 0.6}) {
    PolicyCase made = PolicyCase::read(
        {.policy = "commonkv", .options = {{"layers", "2"}, {"sinks", "2"}, {"window", "6"}}, .share = share}, kTokens);
    made.act();
    const auto bytes = static_cast<double>(made.run.bytes(made.cache)[1].item<std::int64_t>());
    EXPECT_LE(bytes, share * static_cast<double>(fullBytes(kTokens)));
    EXPECT_GT(bytes, (share - 0.02) * static_cast<double>(fullBytes(kTokens)));
    EXPECT_EQ(bytes, fullBytes(kTokens) - std::ranges::count(mergedIn(made.cache, 1), true) * fullBytes(1) / 2 + 7);
  }
}

/// Four layers, which a plan of CommonKV gives one space.
const Decoder& fourLayers() {
  static const auto decoder = [] {
    Checkpoint checkpoint = demoCheckpoint();
    checkpoint.config["num_hidden_layers"] = 4;
    return valueOf(Decoder::load(checkpoint, {}, {}));
  }();
  return *decoder;
}

Planned plannedAs(const std::string& method) {
  PlanRequest request;
  request.method = method;
  request.target = {Target::Kind::share, 0.25};
  Planned made{valueOf(makePlan(fourLayers(), nullptr, request, {})).planned.plan, nullptr};
  made.transform = std::make_unique<PlanTransform>(
      made.plan, valueOf(makeFactors(fourLayers(), nullptr, made.plan, {})), fourLayers().shape(), at::kCPU);
  return made;
}

TEST(CommonKv, OverAPlanItMergesLatentsAndCountsThemOnce) {
  const Planned made = plannedAs("commonkv");
  const std::int64_t rank = made.plan.groups.front().rank();
  const at::Tensor ids = demoWindows(1).ids.narrow(1, 0, kTokens);
  const auto read = [&](const std::string& merged) {
    PolicyRun run = valueOf(PolicyRun::begin(
        fourLayers(), made.transform.get(),
        {.policy = "commonkv", .options = {{"merged", merged}, {"sinks", "0"}, {"window", "20"}}}, kTokens));
    LiveCache cache = run.makeCache();
    valueOf(fourLayers().extend(ids, cache, made.transform.get(), {}));
    const LiveCache before = cache;
    if (auto acted = run.act(cache, ids, {}); !acted) throw std::runtime_error(acted.error().message);
    return std::tuple(before, cache, run.bytes(cache)[0].item<std::int64_t>());
  };
  const auto [untouched, same, all] = read("0");
  for (std::size_t layer = 0; layer < 4; ++layer)
    EXPECT_TRUE(same.layers[layer].keys.equal(untouched.layers[layer].keys));
  EXPECT_EQ(all, kTokens * bytesPerToken(made.plan));

  const auto [before, after, bytes] = read("1");  // all but the window
  EXPECT_EQ(bytes, all - 40 * 3 * 2 * rank);
  std::vector<at::Tensor> latents, ups;
  const auto visitor = [&](const LayerRecord& record) -> Result<void> {
    const GroupBasis basis = valueOf(commonLayerBasis(fourLayers(), record.layer, 4));
    const at::Tensor outputs = at::cat({record.keys, record.values}, 2)[0].to(at::kDouble);
    latents.push_back(at::matmul(outputs, basis.down.narrow(0, 0, rank).t()));
    ups.push_back(basis.up.narrow(1, 0, rank));
    return {};
  };
  valueOf(fourLayers().forward(ids, made.transform.get(), visitor, false, {}));
  const at::Tensor mean = (latents[0] + latents[1] + latents[2] + latents[3]) / 4;
  for (int layer = 0; layer < 4; ++layer) {
    const at::Tensor outputs = at::matmul(mean, ups[static_cast<std::size_t>(layer)].t()).to(at::kFloat);
    const at::Tensor keys =
        fourLayers().rotateKeys(layer, outputs.narrow(1, 0, 256), at::arange(kTokens), kTokens).transpose(0, 1);
    const at::Tensor values = outputs.narrow(1, 256, 256).unflatten(1, {8, 32}).transpose(0, 1);
    const LiveLayer& held = after.layers[static_cast<std::size_t>(layer)];
    EXPECT_LT(relativeDifference(held.keys[0].narrow(1, 0, 40), keys.narrow(1, 0, 40)), 1e-3) << layer;
    EXPECT_LT(relativeDifference(held.values[0].narrow(1, 0, 40), values.narrow(1, 0, 40)), 1e-3) << layer;
    EXPECT_TRUE(
        held.keys.narrow(2, 40, 20).equal(before.layers[static_cast<std::size_t>(layer)].keys.narrow(2, 40, 20)));
  }
}

TEST(CommonKv, MergesHeadsThatAPlanLeavesAsTheyAre) {
  PlanRequest request;
  request.method = "kqsvd";
  request.target = {Target::Kind::share, 1};
  const CompressionPlan whole = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned.plan;
  const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), whole, {}));
  const PlanTransform transform(whole, factors, shortDecoder().shape(), at::kCPU);
  PolicyCase made = PolicyCase::read(merging("0.5"), kTokens, &transform),
             alone = PolicyCase::read(merging("0.5"), kTokens);
  made.act();
  alone.act();
  for (std::size_t layer = 0; layer < 2; ++layer)
    EXPECT_LT(relativeDifference(made.cache.layers[layer].keys, alone.cache.layers[layer].keys), 1e-6) << layer;
  EXPECT_TRUE(made.run.bytes(made.cache).equal(alone.run.bytes(alone.cache)));
}

TEST(CommonKv, RefusesLatentsOfDifferentSpaces) {
  const at::Tensor ids = demoWindows(1).ids.narrow(1, 0, 20);
  const auto refusal = [&](const Planned& made, const std::string& layers) {
    PolicyRun run =
        valueOf(PolicyRun::begin(fourLayers(), made.transform.get(),
                                 {.policy = "commonkv", .options = {{"layers", layers}, {"window", "4"}}}, 20));
    LiveCache cache = run.makeCache();
    valueOf(fourLayers().extend(ids, cache, made.transform.get(), {}));
    const auto acted = run.act(cache, ids, {});
    return acted ? std::string("none") : acted.error().message;
  };
  EXPECT_NE(refusal(plannedAs("svd"), "4").find("a plan of the method svd"), std::string::npos);
  EXPECT_NE(refusal(plannedAs("commonkv"), "2").find("4 at a time"), std::string::npos);
  PolicyCase made = PolicyCase::read({.policy = "commonkv"}, kTokens);
  const auto acted = made.run.act(made.cache, made.ids, {});
  ASSERT_FALSE(acted);
  EXPECT_EQ(acted.error().message, "The policy commonkv merges 4 layers, and the model has 2.");
  EXPECT_EQ(errorOf(PolicyRun::begin(shortDecoder(), nullptr, {.policy = "snapkv+commonkv"}, 60)).code,
            ErrorCode::invalidArgument);
}

}  // namespace
}  // namespace kvista::test
