// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What all policies have in common: bytes, tokens that always stay, refusals.
#include "core/policy/policy_run.h"

#include <gtest/gtest.h>

#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

std::vector<std::string> choosers() {
  std::vector<std::string> names;
  for (const Policy& policy : policies())
    if (policy.makeScorer != nullptr && policy.name != "fast-kvzip") names.emplace_back(policy.name);
  return names;
}

/// Options under which every policy that chooses tokens keeps the same ones always.
std::map<std::string, std::string> alike() { return {{"sinks", "3"}, {"window", "5"}, {"exempt", "0"}}; }

/// What is counted from the tensors themselves.
std::int64_t bytesByHand(const LiveCache& cache, int sequence) {
  std::int64_t bytes = 0;
  for (const LiveLayer& layer : cache.layers)
    for (int head = 0; head < 8; ++head) bytes += static_cast<std::int64_t>(heldBy(layer, sequence, head).size()) * 2 * (32 + 32);
  return bytes;
}

class Choosers : public testing::TestWithParam<std::string> {};

TEST_P(Choosers, KeepExactlyTheirBytes) {
  for (const double share : {0.2, 0.35, 0.5, 0.77}) {
    PolicyCase made = PolicyCase::read({.policy = GetParam(), .options = alike(), .share = share});
    made.act();
    const at::Tensor bytes = made.run.bytes(made.cache);
    const auto allowed = static_cast<std::int64_t>(share * static_cast<double>(fullBytes(60)));
    for (int sequence : {0, 1}) {
      const auto counted = bytes[sequence].item<std::int64_t>();
      EXPECT_EQ(counted, bytesByHand(made.cache, sequence));
      EXPECT_LE(counted, allowed);
      if (GetParam() != "dbudgetkv") {
        EXPECT_GT(counted, allowed - 8 * 2 * (32 + 32)) << "a token of one layer more would have fitted";
      }
    }
  }
}

TEST_P(Choosers, NeverDropTheFirstAndLastTokens) {
  PolicyCase made = PolicyCase::read({.policy = GetParam(), .options = alike(), .share = 0.2});
  made.act();
  for (const LiveLayer& layer : made.cache.layers)
    for (int head = 0; head < 8; ++head) {
      const std::vector<std::int64_t> held = heldBy(layer, 1, head);
      for (const std::int64_t position : {0, 1, 2, 55, 56, 57, 58, 59}) EXPECT_TRUE(std::ranges::binary_search(held, position)) << position;
    }
}

TEST_P(Choosers, ChangeNothingWhereAllMayStay) {
  if (GetParam() == "dbudgetkv") return;  // a rule of its own
  const PolicyCase before = PolicyCase::read({.policy = GetParam(), .options = alike()});
  PolicyCase made = PolicyCase::read({.policy = GetParam(), .options = alike()});
  made.act();
  for (std::size_t layer = 0; layer < 2; ++layer) {
    EXPECT_TRUE(made.cache.layers[layer].keys.equal(before.cache.layers[layer].keys));
    EXPECT_TRUE(made.cache.layers[layer].positions.equal(before.cache.layers[layer].positions));
  }
  EXPECT_EQ(made.run.bytes(made.cache)[0].item<std::int64_t>(), fullBytes(60));
}

INSTANTIATE_TEST_SUITE_P(All, Choosers, testing::ValuesIn(choosers()), [](const auto& instance) {
  std::string name = instance.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(PolicyOnPlans, TokensThatShareALatentGoTogetherAndTheirBytesAreThePlans) {
  const Planned made = planned("joint");
  PolicyCase eviction = PolicyCase::read({.policy = "snapkv", .options = alike(), .share = 0.2}, 60, &made.plan, made.transform.get());
  eviction.act();
  std::int64_t byHand = 0;
  for (std::size_t layer = 0; layer < 2; ++layer) {
    const LiveLayer& held = eviction.cache.layers[layer];
    for (int head = 1; head < 8; ++head) EXPECT_EQ(heldBy(held, 0, head), heldBy(held, 0, 0));
    std::int64_t token = 4;  // the position, since keys are stored before RoPE
    for (const Group& group : made.plan.groups)
      if (group.slots.front().layer == static_cast<int>(layer)) token += group.storedBytes();
    byHand += static_cast<std::int64_t>(heldBy(held, 0, 0).size()) * token;
  }
  EXPECT_EQ(eviction.run.bytes(eviction.cache)[0].item<std::int64_t>(), byHand);
  EXPECT_LE(byHand, 0.2 * static_cast<double>(fullBytes(60)));
}

TEST(PolicyOnPlans, BudgetsOfAllHeadsTogetherKnowThatFirstTokensAreExact) {
  const Planned made = planned("coded-head");
  ASSERT_GT(made.plan.exactTokens, 0);
  PolicyCase eviction = PolicyCase::read({.policy = "kvzip", .options = alike(), .share = 0.25}, 60, &made.plan, made.transform.get());
  eviction.act();
  const auto allowed = static_cast<std::int64_t>(0.25 * static_cast<double>(fullBytes(60)));
  for (int sequence : {0, 1}) {
    EXPECT_LE(eviction.run.bytes(eviction.cache)[sequence].item<std::int64_t>(), allowed);
    EXPECT_GT(eviction.run.bytes(eviction.cache)[sequence].item<std::int64_t>(), allowed - 2 * (32 + 32));
  }
}

TEST(PolicyOnPlans, CskvKeepsTheLastTokensExact) {
  const Planned made = planned("coded-joint");
  PolicyCase plain = PolicyCase::read({.policy = "snapkv"}), stored = PolicyCase::read({.policy = "snapkv"}, 60, &made.plan, made.transform.get());
  PolicyCase both = PolicyCase::read({.policy = "cskv", .options = {{"window", "16"}}}, 60, &made.plan, made.transform.get());
  both.act();
  // Of the first layer, whose input is the same.
  const auto part = [](const PolicyCase& one, std::int64_t from, std::int64_t count) { return one.cache.layers[0].keys.narrow(2, from, count); };
  EXPECT_LT(largestDifference(part(both, 44, 16), part(plain, 44, 16)), 1e-5);
  EXPECT_LT(largestDifference(part(both, 0, 44), part(stored, 0, 44)), 1e-4);
  EXPECT_GT(largestDifference(part(both, 0, 44), part(plain, 0, 44)), 1e-3);
  EXPECT_EQ(both.run.bytes(both.cache)[0].item<std::int64_t>(), (44 - made.plan.exactTokens) * bytesPerToken(made.plan) + fullBytes(16 + made.plan.exactTokens));
}

TEST(PolicyRun, SaysWhatIsWrong) {
  const auto message = [](const PolicyRequest& request, std::int64_t tokens = 60) { return errorOf(PolicyRun::begin(shortDecoder(), nullptr, request, tokens)).message; };
  EXPECT_EQ(message({.policy = "best"}), "There is no policy \"best\".");
  EXPECT_EQ(message({.policy = "snapkv", .options = {{"size", "3"}}}), "The policy snapkv has no option \"size\".");
  EXPECT_EQ(message({.policy = "snapkv", .options = {{"queries", "many"}}}), "The option queries of the policy snapkv is \"many\".");
  EXPECT_EQ(message({.policy = "snapkv+l2-norm"}), "snapkv and l2-norm do not go together: both choose tokens.");
  EXPECT_EQ(message({.policy = "snapkv+kivi"}), "kivi holds tokens in blocks, of which snapkv cannot take some out.");
  EXPECT_EQ(message({.policy = "cskv"}), "The policy cskv says which tokens a plan stores, and there is no plan.");
  EXPECT_EQ(message({.policy = "fp8", .share = 0.25}), "The policy fp8 needs 0.5312 of the 16-bit cache for 60 tokens, and 0.25 was allowed.");
  PolicyCase made = PolicyCase::read({.policy = "snapkv", .share = 0.25});
  const auto refused = made.run.act(made.cache, made.ids, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "At a share of 0.25 the policy snapkv can keep 15 of 60 tokens, fewer than the 0 first and 32 last ones that always stay.");
}

}  // namespace
}  // namespace kvista::test
