// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Choosing tokens where layers are stored together: in a chain, one with those that read its cache, with a group in
// common.
#include <ATen/ops/stack.h>
#include <ATen/ops/topk.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <tuple>

#include "core/policy/attention_scores.h"
#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

constexpr std::int64_t kTokens = 60;
constexpr std::int64_t kHeadBytes = 2 * (32 + 32), kLayerBytes = 8 * kHeadBytes;

struct Case {
  CompressionPlan plan;
  std::unique_ptr<PlanTransform> transform;
  std::vector<std::vector<int>> sets;  ///< As the plan's own words say.
};

/// A plan at a quarter for the whole demo model, of 8 layers.
Case caseOf(const std::string& method, std::vector<int> sharedFrom, std::optional<int> chain,
            std::vector<std::vector<int>> sets) {
  PlanRequest request;
  request.method = method;
  request.target = {Target::Kind::share, 0.25};
  request.sharedFrom = std::move(sharedFrom);
  request.chain = chain;
  Case made{valueOf(makePlan(demoDecoder(), &demoStatistics(), request, {})).planned.plan, nullptr, std::move(sets)};
  const PlanFactors factors = valueOf(makeFactors(demoDecoder(), &demoStatistics(), made.plan, {}));
  made.transform = std::make_unique<PlanTransform>(made.plan, factors, demoDecoder().shape(), at::kCPU);
  return made;
}

/// The first layer stores the numbers of tokens, of all of them for all layers.
const Case& chained() {
  static const Case made = caseOf("coded-chain", {}, 3, {{0}, {1, 2}, {3, 4, 5}, {6, 7}});
  return made;
}

/// One of first tokens that stay exact, whose heads share latents; one of heads by themselves.
const Case& shared() {
  static const Case made = caseOf("coded-joint", {0, 0, 2, 3, 2, 5, 3, 2}, {}, {{0, 1}, {2, 4, 7}, {3, 6}, {5}});
  return made;
}
const Case& sharedHeads() {
  static const Case made = caseOf("palu-m", {0, 1, 0, 1, 4, 5, 6, 6}, {}, {{0, 2}, {1, 3}, {4}, {5}, {6, 7}});
  return made;
}

/// Layers of CommonKV share what makes their latents, but each stores its own.
const Case& common() {
  static const Case made = caseOf("commonkv", {}, {}, {{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}});
  return made;
}

/// A plan by hand with one latent for each two layers. Nothing is lost, whatever it says of bytes.
const Case& grouped() {
  static const Case made = [] {
    Case all;
    all.plan.method = "joint";
    all.plan.storage = Storage::lowRank16;
    for (int layer = 0; layer < 8; layer += 2) {
      Group group;
      for (int which : {layer, layer + 1})
        for (const Side side : {Side::key, Side::value})
          for (int head = 0; head < 8; ++head) group.slots.push_back({which, side, head});
      group.widths.assign(1024, 0);
      std::fill_n(group.widths.begin(), 320, std::uint8_t{16});
      all.plan.groups.push_back(group);
      all.sets.push_back({layer, layer + 1});
    }
    all.transform = std::make_unique<PlanTransform>(all.plan, PlanFactors(4), demoDecoder().shape(), at::kCPU);
    return all;
  }();
  return made;
}

const std::map<std::string, const Case& (*)()>& cases() {
  static const std::map<std::string, const Case& (*)()> all = {
      {"chained", chained}, {"shared", shared}, {"sharedHeads", sharedHeads}, {"common", common}, {"grouped", grouped}};
  return all;
}

/// Counted from the plan's groups and the positions that are held, one sequence: what a set holds is there once.
std::int64_t bytesByHand(const Case& of, const LiveCache& cache, int sequence) {
  std::int64_t bytes = of.plan.tokenNumbers ? 4 * kTokens : 0;
  for (const std::vector<int>& set : of.sets) {
    const LiveLayer& layer = cache.layers[static_cast<std::size_t>(set.front())];
    std::set<std::vector<std::int64_t>> ofHeads;
    for (int head = 0; head < 8; ++head) ofHeads.insert(heldBy(layer, sequence, head));
    const auto isOf = [&](const Group& group) {
      return std::ranges::find(set, group.slots.front().layer) != set.end();
    };
    for (const Group& group : of.plan.groups) {
      if (!isOf(group)) continue;
      const auto tokens = static_cast<std::int64_t>(heldBy(layer, sequence, group.slots.front().head).size());
      const int which = group.slots.front().layer;
      const bool hasCache = !readsAnotherLayer(of.plan, which) && !storesTokenNumbers(of.plan, which);
      const std::int64_t exact = hasCache ? of.plan.exactTokens : 0;
      bytes += (tokens - of.plan.exactTokens) * group.storedBytes() +
               exact * static_cast<std::int64_t>(group.widths.size()) * 2;
    }
    const bool byHead = of.plan.groups.front().slots.size() == 1;
    EXPECT_TRUE(byHead || ofHeads.size() == 1);
    for (int head = 0; head < (byHead ? 8 : 1); ++head) {
      const std::size_t tokens = heldBy(layer, sequence, head).size();
      if (tokens < kTokens) bytes += 4 * static_cast<std::int64_t>(tokens);
    }
  }
  return bytes;
}

PolicyCase read(const Case& of, const PolicyRequest& request) {
  return PolicyCase::read(request, kTokens, of.transform.get(), demoDecoder());
}

void expectAlike(const Case& of, const LiveCache& cache) {
  for (const std::vector<int>& set : of.sets)
    for (const int layer : set)
      for (int head = 0; head < 8; ++head) {
        const auto held = [&](int which) { return heldBy(cache.layers[static_cast<std::size_t>(which)], 0, head); };
        EXPECT_EQ(held(layer), held(set.front())) << layer << " and " << set.front();
      }
}

class StoredTogether : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(StoredTogether, LayersKeepTheSameTokensWhichAreCountedOnce) {
  const Case& of = cases().at(std::get<0>(GetParam()))();
  EXPECT_EQ(layersStoredTogether(&of.plan, 8), of.sets);
  std::int64_t largest = 0;  // token of a set
  for (const std::vector<int>& set : of.sets) {
    std::int64_t bytes = 8 * 4;
    for (const Group& group : of.plan.groups)
      if (std::ranges::find(set, group.slots.front().layer) != set.end()) bytes += group.storedBytes();
    largest = std::max(largest, bytes);
  }
  for (const double share : {0.12, 0.19}) {
    const PolicyRequest request{
        .policy = std::get<1>(GetParam()), .options = {{"window", "6"}, {"sinks", "2"}}, .share = share};
    PolicyCase made = read(of, request);
    made.act();
    expectAlike(of, made.cache);
    const auto allowed = static_cast<std::int64_t>(share * static_cast<double>(kTokens * 8 * kLayerBytes));
    for (const int sequence : {0, 1}) {
      const auto counted = made.run.bytes(made.cache)[sequence].item<std::int64_t>();
      EXPECT_EQ(counted, bytesByHand(of, made.cache, sequence));
      EXPECT_LE(counted, allowed);
      const auto isWhole = [&](const std::vector<int>& set) {  // whose positions need not be said
        return heldBy(made.cache.layers[static_cast<std::size_t>(set.front())], sequence, 0).size() == kTokens;
      };
      const auto whole = std::ranges::count_if(of.sets, isWhole);
      EXPECT_GT(counted, allowed - largest - whole * 8 * 4 * kTokens) << "a token more would have fitted";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Plans, StoredTogether,
                         testing::Combine(testing::Values("chained", "shared", "sharedHeads", "common", "grouped"),
                                          testing::Values("snapkv", "kvzip", "streaming-llm")),
                         [](const auto& instance) {
                           std::string name = std::get<0>(instance.param) + "_" + std::get<1>(instance.param);
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(LayersInSets, GoByTheMeanOfTheirScores) {
  const PolicyRequest request{.policy = "snapkv", .options = {{"window", "6"}, {"queries", "16"}}, .share = 0.15};
  const PolicyCase before = read(chained(), request);
  PolicyCase after = read(chained(), request);
  after.act();
  for (const std::vector<int>& set : chained().sets) {
    std::vector<at::Tensor> scores;
    for (const int layer : set) {
      const LiveLayer& held = before.cache.layers[static_cast<std::size_t>(layer)];
      scores.push_back(
          largestAround(recentAttentionOf({demoDecoder(), layer, held, kTokens}).sum(2), 7, 16)[1].mean(0));
    }
    const std::vector<std::int64_t> kept = heldBy(after.cache.layers[static_cast<std::size_t>(set.back())], 1, 5);
    // The plan's exact tokens and the last ones stay.
    const std::int64_t chosen = static_cast<std::int64_t>(kept.size()) - 4 - 6;
    ASSERT_GT(chosen, 0);
    const auto [values, best] = at::topk(at::stack(scores).mean(0).narrow(0, 4, kTokens - 10), chosen);
    for (std::int64_t i = 0; i < chosen && values[i].item<double>() > values[-1].item<double>();
         ++i)  // those like the last are all as good
      EXPECT_TRUE(std::ranges::binary_search(kept, best[i].item<std::int64_t>() + 4)) << set.front();
  }
}

TEST(LayersInSets, AreExemptWhereTheFirstIs) {
  PolicyCase made =
      read(chained(), {.policy = "l2-norm", .options = {{"window", "6"}, {"exempt", "4"}}, .share = 0.28});
  made.act();
  for (std::size_t layer = 0; layer < 8; ++layer)
    EXPECT_EQ(heldBy(made.cache.layers[layer], 0, 0).size() == kTokens, layer < 6) << layer;
  EXPECT_EQ(made.run.bytes(made.cache)[0].item<std::int64_t>(), bytesByHand(chained(), made.cache, 0));
  EXPECT_LE(made.run.bytes(made.cache)[0].item<std::int64_t>(), 0.28 * kTokens * 8 * kLayerBytes);
}

TEST(LayersInSets, HoldForEveryPolicyThatChooses) {
  for (const Policy& policy : policies()) {
    if (policy.makeScorer == nullptr || std::ranges::any_of(policy.options, &PolicyOption::isFile)) continue;
    for (const Case* of : {&chained(), &shared()}) {
      PolicyCase made = read(*of, {.policy = std::string(policy.name),
                                   .options = {{"window", "6"}, {"sinks", "2"}, {"exempt", "0"}},
                                   .share = 0.13,
                                   .interval = 10});
      made.act();
      expectAlike(*of, made.cache);
      EXPECT_LT(heldBy(made.cache.layers[0], 0, 0).size(), 60U) << policy.name;
      EXPECT_LE(made.run.bytes(made.cache)[0].item<std::int64_t>(), 0.13 * kTokens * 8 * kLayerBytes) << policy.name;
    }
  }
}

TEST(LayersInSets, HeadsMayStillGoApartWhereEachIsStoredByItself) {
  PolicyCase made = read(sharedHeads(), {.policy = "kvzip", .options = {{"window", "6"}}, .share = 0.1});
  made.act();
  std::set<std::vector<std::int64_t>> kept;
  for (int head = 0; head < 8; ++head) kept.insert(heldBy(made.cache.layers[2], 0, head));
  EXPECT_GT(kept.size(), 1U);
}

TEST(LayersInSets, CskvCountsExactTokensOfEachLayerAndThePlansFirstOnesOnce) {
  PolicyCase made = read(shared(), {.policy = "cskv", .options = {{"window", "16"}}});
  EXPECT_EQ(made.run.bytes(made.cache)[0].item<std::int64_t>(), kTokens * 8 * kLayerBytes)
      << "until it acts all is exact";
  made.act();
  const std::int64_t first = shared().plan.exactTokens, own = 4;  // layers with their own cache
  ASSERT_GT(first, 0);
  EXPECT_EQ(made.run.bytes(made.cache)[0].item<std::int64_t>(),
            16 * 8 * kLayerBytes + first * own * kLayerBytes + (kTokens - 16 - first) * bytesPerToken(shared().plan));
}

TEST(LayersThatReadAnothersCache, AreReadInPartsAsInOne) {
  const at::Tensor ids = demoWindows(2).ids.narrow(1, 0, 40);
  for (const Case* of : {&shared(), &sharedHeads()}) {
    LiveCache whole, parts;
    const at::Tensor expected = valueOf(demoDecoder().extend(ids, whole, of->transform.get(), {}));
    const at::Tensor losses = valueOf(demoDecoder().tokenLosses(ids, of->transform.get(), {}));
    EXPECT_LT(largestDifference(valueOf(demoDecoder().lossesBehind(expected, ids, {})), losses), 1e-3);
    valueOf(demoDecoder().extend(ids.narrow(1, 0, 2), parts, of->transform.get(), {}));
    valueOf(demoDecoder().extend(ids.narrow(1, 2, 21), parts, of->transform.get(), {}));
    const at::Tensor last = valueOf(demoDecoder().extend(ids.narrow(1, 23, 17), parts, of->transform.get(), {}));
    EXPECT_LT(relativeDifference(last, expected.narrow(1, 23, 17)), 5e-3);
    EXPECT_LT(relativeDifference(parts.layers[7].keys, whole.layers[7].keys), 5e-3);
  }
}

}  // namespace
}  // namespace kvista::test
