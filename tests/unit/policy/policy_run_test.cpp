// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What all policies have in common: bytes, tokens that always stay, refusals.
#include "core/policy/policy_run.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "core/policy/attention_predictor.h"
#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

using testing::HasSubstr;

std::vector<std::string> choosers() {
  std::vector<std::string> names;
  for (const Policy& policy : policies())
    if (policy.makeScorer != nullptr && policy.name != "fast-kvzip") names.emplace_back(policy.name);
  return names;
}

/// The file of an attention predictor that has learnt nothing.
std::string untrainedPredictor() {
  static const struct Saved {
    std::filesystem::path file = std::filesystem::temp_directory_path() / "kvista-untrained-predictor.safetensors";
    Saved() { EXPECT_TRUE(saveAttentionPredictor(file, AttentionPredictor::initial(1), "", {})); }
    ~Saved() { std::filesystem::remove(file); }
  } saved;
  return saved.file.string();
}

/// Options under which every policy that chooses tokens keeps the same ones always.
std::map<std::string, std::string> alike(const std::string& policy = {}) {
  std::map<std::string, std::string> options = {{"sinks", "3"}, {"window", "5"}, {"exempt", "0"}};
  if (policy == "attention-predictor") options["gate"] = untrainedPredictor();
  return options;
}

/// What is counted from the tensors themselves.
std::int64_t bytesByHand(const LiveCache& cache, int sequence) {
  std::int64_t bytes = 0;
  for (const LiveLayer& layer : cache.layers)
    for (int head = 0; head < 8; ++head)
      bytes += static_cast<std::int64_t>(heldBy(layer, sequence, head).size()) * 2 * (32 + 32);
  return bytes;
}

class Choosers : public testing::TestWithParam<std::string> {};

TEST_P(Choosers, KeepExactlyTheirBytes) {
  for (const double share : {0.2, 0.35, 0.5, 0.77}) {
    PolicyCase made = PolicyCase::read({.policy = GetParam(), .options = alike(GetParam()), .share = share});
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
  PolicyCase made = PolicyCase::read({.policy = GetParam(), .options = alike(GetParam()), .share = 0.2});
  made.act();
  for (const LiveLayer& layer : made.cache.layers)
    for (int head = 0; head < 8; ++head) {
      const std::vector<std::int64_t> held = heldBy(layer, 1, head);
      for (const std::int64_t position : {0, 1, 2, 55, 56, 57, 58, 59})
        EXPECT_TRUE(std::ranges::binary_search(held, position)) << position;
    }
}

TEST_P(Choosers, ChangeNothingWhereAllMayStay) {
  if (GetParam() == "dbudgetkv") return;  // a rule of its own
  const PolicyCase before = PolicyCase::read({.policy = GetParam(), .options = alike(GetParam())});
  PolicyCase made = PolicyCase::read({.policy = GetParam(), .options = alike(GetParam())});
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
  PolicyCase eviction =
      PolicyCase::read({.policy = "snapkv", .options = alike(), .share = 0.2}, 60, made.transform.get());
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
  PolicyCase eviction =
      PolicyCase::read({.policy = "kvzip", .options = alike(), .share = 0.25}, 60, made.transform.get());
  eviction.act();
  const auto allowed = static_cast<std::int64_t>(0.25 * static_cast<double>(fullBytes(60)));
  for (int sequence : {0, 1}) {
    EXPECT_LE(eviction.run.bytes(eviction.cache)[sequence].item<std::int64_t>(), allowed);
    EXPECT_GT(eviction.run.bytes(eviction.cache)[sequence].item<std::int64_t>(), allowed - 2 * (32 + 32));
  }
}

TEST(PolicyOnPlans, CskvKeepsTheLastTokensExact) {
  const Planned made = planned("coded-joint");
  PolicyCase plain = PolicyCase::read({.policy = "snapkv"}),
             stored = PolicyCase::read({.policy = "snapkv"}, 60, made.transform.get());
  PolicyCase both = PolicyCase::read({.policy = "cskv", .options = {{"window", "16"}}}, 60, made.transform.get());
  both.act();
  // Of the first layer, whose input is the same.
  const auto part = [](const PolicyCase& one, std::int64_t from, std::int64_t count) {
    return one.cache.layers[0].keys.narrow(2, from, count);
  };
  EXPECT_LT(largestDifference(part(both, 44, 16), part(plain, 44, 16)), 1e-5);
  EXPECT_LT(largestDifference(part(both, 0, 44), part(stored, 0, 44)), 1e-4);
  EXPECT_GT(largestDifference(part(both, 0, 44), part(plain, 0, 44)), 1e-3);
  EXPECT_EQ(both.run.bytes(both.cache)[0].item<std::int64_t>(),
            (44 - made.plan.exactTokens) * bytesPerToken(made.plan) + fullBytes(16 + made.plan.exactTokens));
}

TEST(PolicyRun, ExemptLayersKeepAllWhateverTheRule) {
  const std::map<std::string, std::string> options = {
      {"over", "snapkv"}, {"loss", "0.3"}, {"sinks", "0"}, {"window", "1"}};
  PolicyCase all = PolicyCase::read({.policy = "dbudgetkv", .options = options});
  all.act();
  EXPECT_LT(heldBy(all.cache.layers[0], 0, 0).size(), 60U);
  std::map<std::string, std::string> exempting = options;
  exempting["exempt"] = "1";
  PolicyCase made = PolicyCase::read({.policy = "dbudgetkv", .options = exempting});
  made.act();
  for (int head = 0; head < 8; ++head) EXPECT_EQ(heldBy(made.cache.layers[0], 0, head).size(), 60U);
  EXPECT_EQ(heldBy(made.cache.layers[1], 1, 3), heldBy(all.cache.layers[1], 1, 3));
}

TEST(PolicyRun, EachOfTwoPoliciesSeesTheQueriesThatItAsksFor) {
  // The options `queries` and `window` go to think: snapkv looks at its usual 32 as by itself.
  PolicyCase joined = PolicyCase::read(
      {.policy = "snapkv+think", .options = {{"queries", "60"}, {"window", "4"}, {"reach", "0"}}, .share = 0.65});
  PolicyCase usual = PolicyCase::read({.policy = "snapkv", .options = {{"reach", "0"}}, .share = 0.65});
  PolicyCase alone =
      PolicyCase::read({.policy = "snapkv", .options = {{"queries", "60"}, {"reach", "0"}}, .share = 0.65});
  EXPECT_EQ(joined.cache.layers[0].queries.size(2), 60);
  for (PolicyCase* one : {&alone, &joined, &usual}) one->act();
  bool isAlways = true;
  for (int head = 0; head < 8; ++head) {  // of one order by scores the longer list holds the shorter
    const auto few = heldBy(usual.cache.layers[0], 0, head), many = heldBy(joined.cache.layers[0], 0, head),
               others = heldBy(alone.cache.layers[0], 0, head);
    ASSERT_LE(few.size(), many.size());
    for (const std::int64_t position : few)
      EXPECT_TRUE(std::ranges::binary_search(many, position)) << head << ": " << position;
    isAlways = isAlways && few == others;
  }
  EXPECT_FALSE(isAlways) << "60 queries choose like 32: the case shows nothing";
}

TEST(PolicyRun, ChunksAreCountedWithTheirPositionsWhereItActsAgain) {
  PolicyCase made = PolicyCase::read({.policy = "chunkkv", .options = alike(), .share = 0.5, .interval = 16});
  made.act();
  std::int64_t byHand = 0;
  for (const LiveLayer& layer : made.cache.layers)
    byHand += static_cast<std::int64_t>(heldBy(layer, 0, 0).size()) * (8 * 2 * (32 + 32) + 4);  // one for all heads
  EXPECT_EQ(made.run.bytes(made.cache)[0].item<std::int64_t>(), byHand);
  EXPECT_LE(byHand, fullBytes(60) / 2);
}

TEST(PolicyRun, SaysWhatIsWrong) {
  const auto message = [](const PolicyRequest& request, std::int64_t tokens = 60) {
    return errorOf(PolicyRun::begin(shortDecoder(), nullptr, request, tokens)).message;
  };
  EXPECT_EQ(message({.policy = "best"}), "There is no policy \"best\".");
  EXPECT_EQ(message({.policy = "snapkv", .options = {{"size", "3"}}}), "The policy snapkv has no option \"size\".");
  EXPECT_EQ(message({.policy = "snapkv", .options = {{"queries", "many"}}}),
            "The option queries of the policy snapkv is \"many\".");
  EXPECT_EQ(message({.policy = "hadamard", .options = {{"bits", "2.7"}}}),
            "The option bits of the policy hadamard is \"2.7\".");
  EXPECT_EQ(
      errorOf(PolicyRun::begin(shortDecoder(), nullptr, {.policy = "hadamard", .options = {{"bits", "2.7"}}}, 60)).hint,
      "It must be a whole number between 1 and 8.");
  for (const char* option : {"sinks", "window", "exempt"})
    for (const char* value : {"-1", "1e300", "0.5"})
      EXPECT_NE(message({.policy = "snapkv", .options = {{option, value}}}), "") << option << "=" << value;
  EXPECT_EQ(message({.policy = "chunkkv", .options = {{"over", "fast-kvzip"}}}),
            "The policy fast-kvzip needs a file, which a policy over it has no option for.");
  EXPECT_EQ(message({.policy = "dbudgetkv", .options = {{"over", "fp8"}}}),
            "The policy fp8 has no scores of its own, so nothing can be built over it.");
  EXPECT_EQ(message({.policy = "kvzip"}, 1785),
            "To read 1785 tokens again behind themselves, 256 at a time, takes 2049 positions, and the model was made "
            "for 2048.");
  EXPECT_EQ(message({.policy = "kvzip"}, 1900),
            "To read 1900 tokens again behind themselves, 256 at a time, takes 2164 positions, and the model was made "
            "for 2048.");
  EXPECT_TRUE(PolicyRun::begin(shortDecoder(), nullptr, {.policy = "kvzip"}, 1784));  // 1784 + 256 + 8
  EXPECT_EQ(message({.policy = "snapkv+l2-norm"}), "snapkv and l2-norm do not go together: both choose tokens.");
  EXPECT_EQ(message({.policy = "snapkv+kivi"}), "kivi holds tokens together, of which snapkv cannot take some out.");
  EXPECT_EQ(message({.policy = "cskv"}), "The policy cskv says which tokens a plan stores, and there is no plan.");
  EXPECT_EQ(message({.policy = "fp8", .share = 0.25}),
            "The policy fp8 needs 0.5312 of the 16-bit cache for 60 tokens, and 0.25 was allowed.");
  PolicyCase made = PolicyCase::read({.policy = "snapkv", .share = 0.25});
  const auto refused = made.run.act(made.cache, made.ids, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().message,
      "At a share of 0.25 the policy snapkv can keep 15 of 60 tokens, fewer than the 32 last ones that always stay.");
  const auto refusedWith = [&](const char* sinks, const char* window) {
    PolicyCase own =
        PolicyCase::read({.policy = "snapkv", .options = {{"sinks", sinks}, {"window", window}}, .share = 0.01});
    return errorOf(own.run.act(own.cache, own.ids, {})).message;
  };
  EXPECT_THAT(refusedWith("4", "32"), HasSubstr(", fewer than the 4 first and 32 last ones that always stay."));
  EXPECT_THAT(refusedWith("1", "0"), HasSubstr("keep 0 of 60 tokens, fewer than the 1 first one that always stays."));
  EXPECT_THAT(refusedWith("0", "0"), HasSubstr("can keep 0 of 60 tokens."));
}

}  // namespace
}  // namespace kvista::test
