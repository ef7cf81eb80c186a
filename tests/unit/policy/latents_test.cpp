// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Policies that quantise what a plan stores: its latents, not the keys and values that are rebuilt from them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/compress/factors.h"
#include "core/policy/attention_scores.h"
#include "core/policy/quantise.h"
#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

constexpr std::int64_t kTokens = 60;

bool hasKeys(const Group& group) { return group.slots.front().side == Side::key; }

/// The plan with so many first tokens left exact.
Planned exactBut(const std::string& method, int exactTokens) {
  Planned made = planned(method);
  made.plan.exactTokens = exactTokens;
  made.transform =
      std::make_unique<PlanTransform>(made.plan, made.transform->factors(), shortDecoder().shape(), at::kCPU);
  return made;
}

/// Before a policy acts and afterwards.
struct Held {
  PolicyCase before, after;
  [[nodiscard]] std::int64_t bytes() const { return after.run.bytes(after.cache)[1].item<std::int64_t>(); }
  [[nodiscard]] double keysOff() const {
    return relativeDifference(after.cache.layers[0].keys, before.cache.layers[0].keys);
  }
};

Held heldAs(const Planned& made, const std::string& policy, const std::map<std::string, std::string>& options = {}) {
  const PolicyRequest request{.policy = policy, .options = options};
  Held held{PolicyCase::read(request, kTokens, made.transform.get()),
            PolicyCase::read(request, kTokens, made.transform.get())};
  held.after.act();
  return held;
}

/// Latents of the first layer's groups, whose input is the same whatever the plan: [2, tokens, r].
std::vector<at::Tensor> firstLatents(const Planned& made) {
  std::vector<at::Tensor> latents;
  const auto visitor = [&](const LayerRecord& record) -> Result<void> {
    for (std::size_t i = 0; record.layer == 0 && i < made.plan.groups.size(); ++i) {
      if (made.plan.groups[i].slots.front().layer != 0) continue;
      const bool isJoint = made.plan.groups[i].slots.back().side == Side::value && hasKeys(made.plan.groups[i]);
      const at::Tensor& side = hasKeys(made.plan.groups[i]) ? record.keys : record.values;
      const at::Tensor outputs = isJoint ? at::cat({record.keys, record.values}, 2) : side;
      latents.push_back(latentOf(outputs, made.transform->factors()[i]));
    }
    return {};
  };
  valueOf(shortDecoder().forward(demoWindows(2).ids.narrow(1, 0, kTokens), nullptr, visitor, false, {}));
  return latents;
}

/// What the first layer reads of such latents: keys and values as LiveLayer.
KeyValues readOf(const Planned& made, const std::vector<at::Tensor>& latents) {
  std::vector<at::Tensor> outputs;
  for (std::size_t i = 0; i < latents.size(); ++i)
    outputs.push_back(rebuiltFrom(latents[i], made.transform->factors()[i]));
  const at::Tensor all = at::cat(outputs, 2);
  const at::Tensor keys =
      shortDecoder().rotateKeys(0, all.narrow(2, 0, 256).flatten(0, 1), at::arange(kTokens).repeat({2}), kTokens);
  return {keys.unflatten(0, {2, kTokens}).transpose(1, 2),
          all.narrow(2, 256, 256).unflatten(2, {8, 32}).transpose(1, 2)};
}

void expectReads(const Held& held, const KeyValues& expected) {
  EXPECT_LT(relativeDifference(held.after.cache.layers[0].keys, expected.keys), 1e-4);
  EXPECT_LT(relativeDifference(held.after.cache.layers[0].values, expected.values), 1e-4);
  EXPECT_GT(held.keysOff(), 0.01) << "the case shows nothing";
}

/// `numbers` [n, width] as the policy hadamard holds latents.
at::Tensor throughHadamard(const at::Tensor& numbers, const std::string& bits) {
  const Policy& policy = *valueOf(findPolicy("hadamard"));
  ModelShape shape = shortDecoder().shape();
  shape.headDim = static_cast<int>(numbers.size(1));
  shape.valueHeadDim = 0;
  const auto storage =
      policy.makeStorage(valueOf(PolicySettings::of("hadamard", policy.allOptions(), {{"bits", bits}})), shape);
  LiveLayer layer;
  layer.keys = numbers.unsqueeze(0).unsqueeze(0);
  layer.values = layer.keys.narrow(3, 0, 0);
  const LiveLayer before = layer;
  const Group group;
  if (!storage->store({shortDecoder(), 0, before, numbers.size(0), nullptr, &group}, layer))
    throw std::runtime_error("not stored");
  return layer.keys.squeeze(0).squeeze(0);
}

TEST(RotatedLatents, KeepLengthsAndSpreadASingleNumberOverAll) {
  // Of 16 numbers one alone becomes 16 of one size, which two levels say: rotated back it is what it was.
  for (std::int64_t direction = 0; direction < 16; ++direction) {
    at::Tensor spike = at::zeros({1, 16});
    spike[0][direction] = 3;
    EXPECT_LT(largestDifference(throughHadamard(spike, "1"), spike), 1e-2) << direction;
  }
  // Whatever the size: |error| <= sqrt(r) step / 2, step <= 2 |z| / 255, as no rotated number is larger than |z|.
  for (const std::int64_t width : {1, 3, 24, 40, 96, 100}) {
    const at::Tensor latents = gaussian({5, width}, 7).to(at::kFloat);
    const at::Tensor error = (throughHadamard(latents, "8") - latents).norm(2, {1});
    const at::Tensor most = latents.norm(2, {1}) * std::sqrt(static_cast<double>(width)) / 255;
    EXPECT_TRUE(error.le(most * 1.01 + 1e-3).all().item<bool>()) << width;
  }
}

/// Bytes of n latents of r numbers, by policy; the group has keys or not.
using ByHand = std::int64_t (*)(std::int64_t n, std::int64_t r, bool hasKeys);
struct Counted {
  const char* policy;
  std::map<std::string, std::string> options;
  ByHand bytes;
};

TEST(PolicyOnLatents, BytesAreThoseOfEachGroupsCodesWithAllThatReadingThemNeeds) {
  const std::vector<Counted> all = {
      {"hadamard", {{"bits", "3"}}, [](std::int64_t n, std::int64_t r, bool) { return n * ((3 * r + 7) / 8 + 4); }},
      {"fp8", {}, [](std::int64_t n, std::int64_t r, bool) { return n * (r + 2); }},
      {"kivi",
       {{"bits", "2"}, {"group", "16"}, {"window", "20"}},
       [](std::int64_t n, std::int64_t r, bool hasKeys) {
         const std::int64_t older = n - 20, inBlocks = older / 16 * 16;
         if (hasKeys) return (inBlocks * r * 2 + 7) / 8 + inBlocks / 16 * r * 4 + (n - inBlocks) * r * 2;
         return older * ((r * 2 + 7) / 8 + (r + 15) / 16 * 4) + 20 * r * 2;
       }},
      {"zipcache",
       {{"salient", "0.25"}},
       [](std::int64_t n, std::int64_t r, bool) {
         const std::int64_t salient = (n + 2) / 4;  // rounded
         return salient * ((4 * r + 7) / 8) + (n - salient) * ((2 * r + 7) / 8) + 4 * n + (n + 7) / 8 + 2 * r;
       }},
      {"decoquant", {{"bits", "4"}, {"block", "16"}, {"window", "20"}}, [](std::int64_t n, std::int64_t r, bool) {
         const std::int64_t inBlocks = (n - 20) / 16 * 16, rows = std::min<std::int64_t>(8, r & -r),
                            columns = 16 * r / rows;
         const std::int64_t block = 16 * r * 4 / 8 + rows * ((columns + 127) / 128) * 4 + rows * rows * 2;
         return inBlocks / 16 * block + (n - inBlocks) * r * 2;
       }}};
  for (const char* method : {"joint", "separate", "palu-m"})
    for (const int exact : {0, 4}) {
      const Planned made = exactBut(method, exact);
      for (const Counted& one : all) {
        PolicyCase held =
            PolicyCase::read({.policy = one.policy, .options = one.options}, kTokens, made.transform.get());
        EXPECT_EQ(held.run.bytes(held.cache)[0].item<std::int64_t>(),
                  (kTokens - exact) * bytesPerToken(made.plan) + fullBytes(exact))
            << "before it acts";
        held.act();
        std::int64_t byHand = fullBytes(exact);
        for (const Group& group : made.plan.groups)
          if (group.rank() > 0) byHand += one.bytes(kTokens - exact, group.rank(), hasKeys(group));
        EXPECT_EQ(held.run.bytes(held.cache)[1].item<std::int64_t>(), byHand)
            << one.policy << " over " << method << " but " << exact;
      }
    }
}

TEST(PolicyOnLatents, KiviGoesByDirectionsOfKeysInBlocksAndByTokensOfValues) {
  const auto inBlocks = [](const at::Tensor& z) {  // (60 - 20) / 16 * 16 = 32
    return at::cat({quantised(z.narrow(1, 0, 32).unflatten(1, {2, 16}), 2, 2).flatten(1, 2), z.narrow(1, 32, 28)}, 1);
  };
  const auto byToken = [](const at::Tensor& z) {
    std::vector<at::Tensor> some;
    for (const at::Tensor& directions : z.narrow(1, 0, 40).split(16, 2)) some.push_back(quantised(directions, 2, 2));
    return at::cat({at::cat(some, 2), z.narrow(1, 40, 20)}, 1);
  };
  const std::map<std::string, std::string> options = {{"bits", "2"}, {"group", "16"}, {"window", "20"}};
  const Planned apart = planned("separate"), joint = planned("joint");
  const std::vector<at::Tensor> two = firstLatents(apart), one = firstLatents(joint);
  ASSERT_EQ(two.size(), 2U);
  ASSERT_EQ(one.size(), 1U);
  expectReads(heldAs(apart, "kivi", options), readOf(apart, {inBlocks(two[0]), byToken(two[1])}));
  expectReads(heldAs(joint, "kivi", options), readOf(joint, {inBlocks(one[0])}));
}

TEST(PolicyOnLatents, ZipCacheGivesSalientTokensMoreBits) {
  const Planned made = planned("separate");
  const Held held = heldAs(made, "zipcache", {{"salient", "0.25"}, {"queries", "60"}});
  // [2, queries, tokens]
  const at::Tensor attention = recentAttentionOf({shortDecoder(), 0, held.before.cache.layers[0], kTokens}).mean(1);
  const at::Tensor isSalient = ranksOf(attention.sum(1) / attention.gt(0).sum(1)).lt(15).unsqueeze(2);
  std::vector<at::Tensor> expected;
  for (const at::Tensor& z : firstLatents(made)) {
    const at::Tensor factors = z.abs().amax({1}, true).sqrt().to(at::kHalf).to(at::kFloat);
    expected.push_back(at::where(isSalient, quantised(z / factors, 2, 4), quantised(z / factors, 2, 2)) * factors);
  }
  expectReads(held, readOf(made, expected));
}

TEST(PolicyOnLatents, FewerBitsErrMore) {
  for (const char* method : {"joint", "palu-m", "kqsvd"}) {  // the last one's keys are compressed after RoPE
    const Planned made = exactBut(method, 2);
    for (const char* policy : {"hadamard", "kivi", "decoquant"}) {
      std::map<std::string, std::string> options;
      if (policy != std::string("hadamard"))
        options = {{policy == std::string("kivi") ? "group" : "block", "16"}, {"window", "8"}};
      double last = 0;
      for (const char* bits : {"8", "4", "2"}) {
        options["bits"] = bits;
        const double off = heldAs(made, policy, options).keysOff();
        EXPECT_GT(off, 2 * last) << policy << " over " << method << " at " << bits;
        EXPECT_TRUE(last > 0 || off < 0.02) << policy << " over " << method << ": " << off;
        last = off;
      }
    }
  }
}

TEST(PolicyOnLatents, FirstTokensStayExactAndWhatIsStoredStays) {
  const Planned made = exactBut("joint", 4);
  PolicyRun run = valueOf(
      PolicyRun::begin(shortDecoder(), made.transform.get(),
                       {.policy = "kivi", .options = {{"group", "8"}, {"window", "8"}}, .interval = 20}, kTokens));
  LiveCache cache = run.makeCache();
  const at::Tensor ids = demoWindows(2).ids.narrow(1, 0, kTokens);
  const auto readMore = [&](std::int64_t tokens) { valueOf(run.read(ids.narrow(1, cache.tokens, tokens), cache, {})); };
  const auto part = [&](std::int64_t from, std::int64_t count) { return cache.layers[0].keys.narrow(2, from, count); };
  readMore(2);
  readMore(38);
  const at::Tensor exact = part(0, 4), plans = part(4, 24), last = part(28, 12);
  ASSERT_TRUE(run.act(cache, ids.narrow(1, 0, 40), {}));
  EXPECT_TRUE(part(0, 4).equal(exact));
  const at::Tensor stored = part(4, 24);  // (40 - 4 - 8) / 8 * 8
  EXPECT_GT(relativeDifference(stored, plans), 0.05);
  EXPECT_LT(relativeDifference(part(28, 12), last), 1e-5);
  readMore(20);
  ASSERT_TRUE(run.act(cache, ids, {}));
  EXPECT_LT(relativeDifference(part(4, 24), stored), 1e-5);
  EXPECT_GT(relativeDifference(part(28, 12), last), 0.05);
}

TEST(PolicyOnLatents, GoWithAChoiceOfTokensOfEachHead) {
  const Planned made = planned("palu-m");
  const PolicyRequest request{.policy = "kvzip+zipcache", .options = {{"window", "8"}}, .share = 0.1, .interval = 16};
  PolicyCase held = PolicyCase::read(request, kTokens, made.transform.get());
  held.act();
  const std::int64_t bytes = held.run.bytes(held.cache)[0].item<std::int64_t>();
  EXPECT_LE(bytes, 0.1 * static_cast<double>(fullBytes(kTokens)));
  std::int64_t byHand = 0;
  for (const Group& group : made.plan.groups) {
    const LiveLayer& layer = held.cache.layers[static_cast<std::size_t>(group.slots.front().layer)];
    const auto n = static_cast<std::int64_t>(heldBy(layer, 0, group.slots.front().head).size());
    const std::int64_t r = group.rank(), salient = (6 * n + 5) / 10;
    if (hasKeys(group)) byHand += 4 * n;  // positions
    if (r > 0) byHand += salient * ((4 * r + 7) / 8) + (n - salient) * ((2 * r + 7) / 8) + 4 * n + (n + 7) / 8 + 2 * r;
  }
  EXPECT_EQ(bytes, byHand);
}

TEST(PolicyOnLatents, ALayerReadsOfAnotherWhatThePolicyHasMadeOfIt) {
  PlanRequest request;
  request.method = "joint";
  request.target = {Target::Kind::share, 0.25};
  request.sharedFrom = {0, 0};
  Planned made{valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned.plan, nullptr};
  const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), made.plan, {}));
  made.transform = std::make_unique<PlanTransform>(made.plan, factors, shortDecoder().shape(), at::kCPU);
  const Held held = heldAs(made, "hadamard", {{"bits", "4"}});
  const std::int64_t rank = made.plan.groups.front().rank();
  ASSERT_EQ(made.plan.groups.back().rank(), 0);
  EXPECT_EQ(held.bytes(), kTokens * (rank / 2 + 4));
  EXPECT_TRUE(held.after.cache.layers[1].values.equal(held.after.cache.layers[0].values));
  EXPECT_GT(held.keysOff(), 0.01);
}

TEST(PolicyOnLatents, OthersAreRefused) {
  const Planned coded = planned("coded-joint"), made = planned("joint");
  const auto message = [](const PolicyRequest& request, const Planned& plan) {
    return errorOf(PolicyRun::begin(shortDecoder(), plan.transform.get(), request, kTokens)).message;
  };
  EXPECT_EQ(message({.policy = "hadamard"}, coded),
            "The policy hadamard quantises latents of 16 bits, and those of the plan are quantised already.");
  EXPECT_EQ(message({.policy = "snapkv+think"}, made),
            "The policy think drops channels of keys, which of latents is what their ranks have done.");
}

TEST(PolicyOnLatents, ChannelsOfLatentAttentionAreNotDropped) {
  const auto folder = std::filesystem::path(KVISTA_SHARED_DIR) / "fixtures/families/deepseek_v2";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "the shared fixtures are not there: no folder " << folder;
  const auto decoder = valueOf(Decoder::load(valueOf(openCheckpoint(folder)), {}, {}));
  EXPECT_EQ(errorOf(PolicyRun::begin(*decoder, nullptr, {.policy = "snapkv+think"}, kTokens)).message,
            "The policy think drops channels of keys, which of latents is what their ranks have done; the model has "
            "latent attention, whose cache is a latent already.");
  EXPECT_TRUE(PolicyRun::begin(*decoder, nullptr, {.policy = "snapkv", .share = 0.9}, kTokens));
}

}  // namespace
}  // namespace kvista::test
