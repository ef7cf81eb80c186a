// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/generate.h"

#include <gtest/gtest.h>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/plan/plan_groups.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

struct Planned {
  CompressionPlan plan;
  std::unique_ptr<PlanTransform> transform;
};

Planned planned(const std::string& method, double share) {
  PlanRequest request;
  request.method = method;
  request.target = {Target::Kind::share, share};
  const Decoder& decoder = shortDecoder();
  Planned made{valueOf(makePlan(decoder, &shortStatistics(), request, {})).planned.plan, nullptr};
  const PlanFactors factors = valueOf(makeFactors(decoder, &shortStatistics(), made.plan, {}));
  made.transform = std::make_unique<PlanTransform>(made.plan, factors, decoder.shape(), at::kCPU);
  return made;
}

/// Logits behind each token from `prompt` on, token by token, and by a pass over the whole window.
void expectSameLogits(const CacheTransform* transform, std::int64_t prompt) {
  const at::Tensor ids = demoWindows(1).ids;
  const ForwardResult whole = valueOf(shortDecoder().forward(ids, transform, {}, true, {}));
  DecoderCache cache;
  for (std::int64_t tokens = prompt; tokens <= ids.size(1); ++tokens) {
    const at::Tensor next = cache.tokens == 0 ? ids.narrow(1, 0, prompt) : ids.narrow(1, tokens - 1, 1);
    const at::Tensor logits = valueOf(shortDecoder().nextToken(next, cache, transform, {}));
    EXPECT_LT(largestDifference(logits, whole.logits[0][tokens - 1]), 2e-3) << "behind token " << tokens;
  }
  EXPECT_EQ(cache.tokens, ids.size(1));
}

TEST(NextToken, IsThatOfAPassOverAllTokens) {
  expectSameLogits(nullptr, 1);
  expectSameLogits(nullptr, 17);
}

TEST(NextToken, IsThatOfAPassWithAnyPlan) {
  expectSameLogits(planned("joint", 0.5).transform.get(), 1);
  expectSameLogits(planned("joint", 0.5).transform.get(), 9);
}

TEST(NextToken, LeavesTheFirstTokensExact) {
  // 16-bit directions only, so that no code's edge turns rounding into a step; the first four tokens are exact.
  Planned made = planned("joint", 0.5);
  made.plan.exactTokens = 4;
  const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), made.plan, {}));
  const PlanTransform transform(made.plan, factors, shortDecoder().shape(), at::kCPU);
  for (const std::int64_t prompt : {1, 2, 4, 7}) expectSameLogits(&transform, prompt);
}

TEST(NextToken, SeesKeysAfterRope) {
  PlanRequest request;
  request.method = "coded-head";
  request.target = {Target::Kind::share, 0.9};
  CompressionPlan plan = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned.plan;
  plan.storage = Storage::lowRank16;
  for (Group& group : plan.groups)
    for (std::size_t i = 0; i < group.widths.size(); ++i) group.widths[i] = i < 20 ? 16 : 0;
  const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
  const PlanTransform transform(plan, factors, shortDecoder().shape(), at::kCPU);
  expectSameLogits(&transform, 3);
}

TEST(NextToken, QuantisesABlockOnceItIsFull) {
  CompressionPlan plan;
  plan.method = "plain";
  plan.storage = Storage::plainQuantised;
  plan.scaleBlock = 16;
  plan.groups = singleSlots(shortDecoder().shape());
  for (Group& group : plan.groups) std::ranges::fill(group.widths, 8);
  const PlanTransform transform(plan, PlanFactors(plan.groups.size()), shortDecoder().shape(), at::kCPU);
  // A pass over all tokens quantises blocks that were not full when earlier tokens looked: compare each step with a
  // pass over the tokens so far.
  const at::Tensor ids = demoWindows(1).ids.narrow(1, 0, 40);
  DecoderCache cache;
  at::Tensor logits = valueOf(shortDecoder().nextToken(ids.narrow(1, 0, 39), cache, &transform, {}));
  EXPECT_LT(largestDifference(
                logits, valueOf(shortDecoder().forward(ids.narrow(1, 0, 39), &transform, {}, true, {})).logits[0][38]),
            2e-3);
  EXPECT_EQ(cache.layers[0].raw.keys.size(1), 39);
  logits = valueOf(shortDecoder().nextToken(ids.narrow(1, 39, 1), cache, &transform, {}));
  EXPECT_LT(largestDifference(logits, valueOf(shortDecoder().forward(ids, &transform, {}, true, {})).logits[0][39]),
            2e-3);
}

/// Whatever groups and widths a plan has: what is read back from latents gives the tokens that the plan's transform
/// gives, and takes the bytes that the plan says.
TEST(LatentCache, WritesTheSameTokensFromTheBytesOfThePlan) {
  struct Case {
    const char* method;
    double share;
  };
  for (const auto& [method, share] : {Case{"joint", 0.5},
                                      {"separate", 0.4},
                                      {"grouped", 0.4},
                                      {"coded", 0.2},
                                      {"coded-joint", 0.1},
                                      {"coded-head", 0.25}}) {
    const Planned made = planned(method, share);
    for (const std::int64_t prompt : {2, 9}) {
      DecoderCache latents, full;
      latents.store = made.transform->makeStore(shortDecoder());
      at::Tensor next = demoWindows(1).ids.narrow(1, 0, prompt);
      for (int step = 0; step < 24; ++step) {
        const at::Tensor found = valueOf(shortDecoder().nextToken(next, latents, made.transform.get(), {}));
        const at::Tensor wanted = valueOf(shortDecoder().nextToken(next, full, made.transform.get(), {}));
        ASSERT_LT(largestDifference(found, wanted), 2e-3) << method << ", step " << step;
        next = found.argmax().view({1, 1});
      }
      EXPECT_EQ(latents.store->bytes(), cacheBytes(made.plan, shortDecoder().shape(), prompt + 23)) << method;
      EXPECT_FALSE(latents.layers[0].values.defined());
    }
  }
}

TEST(LatentCache, IsNotForPlainQuantisation) {
  CompressionPlan plan;
  plan.method = "plain";
  plan.storage = Storage::plainQuantised;
  plan.groups = singleSlots(shortDecoder().shape());
  const PlanTransform transform(plan, PlanFactors(plan.groups.size()), shortDecoder().shape(), at::kCPU);
  EXPECT_EQ(transform.makeStore(shortDecoder()), nullptr);
}

TEST(NextToken, GoesOnByOneTokenOnly) {
  DecoderCache cache;
  const at::Tensor ids = demoWindows(1).ids;
  valueOf(shortDecoder().nextToken(ids.narrow(1, 0, 3), cache, nullptr, {}));
  EXPECT_EQ(errorOf(shortDecoder().nextToken(ids.narrow(1, 3, 2), cache, nullptr, {})).code,
            ErrorCode::invalidArgument);
}

TEST(CacheBytes, CountsExactTokensAndUnfinishedBlocks) {
  const ModelShape shape{.family = "llama",
                         .layers = 1,
                         .queryHeads = 1,
                         .kvHeads = 1,
                         .headDim = 8,
                         .valueHeadDim = 8,
                         .hiddenSize = 8,
                         .vocabulary = 10};
  CompressionPlan coded;
  coded.exactTokens = 4;
  coded.groups = joinKeysAndValues(shape, 0, {{0}});
  std::ranges::fill(coded.groups[0].widths, 4);  // 16 directions of 4 bits: 8 bytes
  EXPECT_EQ(cacheBytes(coded, shape, 0), 0);
  EXPECT_EQ(cacheBytes(coded, shape, 3), 3 * 32);
  EXPECT_EQ(cacheBytes(coded, shape, 10), 4 * 32 + 6 * 8);
  ModelShape two = shape;  // the second layer reads the first one's cache
  two.layers = 2;
  coded.sharedFrom = {0, 0};
  EXPECT_EQ(cacheBytes(coded, two, 10), 4 * 32 + 6 * 8);

  CompressionPlan plain;
  plain.storage = Storage::plainQuantised;
  plain.scaleBlock = 64;
  plain.groups = singleSlots(shape);
  for (Group& group : plain.groups) std::ranges::fill(group.widths, 8);
  const std::int64_t keys = bytesPerToken(plain, plain.groups[0]), values = bytesPerToken(plain, plain.groups[1]);
  EXPECT_EQ(cacheBytes(plain, shape, 64), 64 * (keys + values));
  EXPECT_EQ(cacheBytes(plain, shape, 70), 64 * keys + 70 * values + 6 * 16);
}

TEST(Generation, WritesWhatTheLikeliestTokensSay) {
  GenerationRequest request;
  request.prompt = valueOf(demoTokenizer().encode("It was", true));
  request.maximumTokens = 6;
  Generation generation(shortDecoder(), demoTokenizer(), nullptr, request);
  std::vector<std::int64_t> ids(request.prompt.begin(), request.prompt.end());
  std::vector<std::uint32_t> expected;
  for (int i = 0; i < 6; ++i) {
    const at::Tensor logits =
        valueOf(shortDecoder().forward(at::tensor(ids, at::kLong).unsqueeze(0), nullptr, {}, true, {})).logits[0][-1];
    ids.push_back(logits.argmax().item<std::int64_t>());
    expected.push_back(static_cast<std::uint32_t>(ids.back()));
  }
  std::string text;
  int steps = 0;
  while (valueOf(generation.step({}))) {
    ++steps;
    text += valueOf(generation.takeText());
  }
  text += valueOf(generation.takeText());
  EXPECT_EQ(steps, 6);
  EXPECT_EQ(text, valueOf(demoTokenizer().decode(expected, true)));

  // A token that ends texts ends this one, and is not part of it.
  request.endTokens = {expected[2]};
  const auto first = std::ranges::find(expected, expected[2]) - expected.begin();
  Generation shorter(shortDecoder(), demoTokenizer(), nullptr, request);
  steps = 0;
  while (valueOf(shorter.step({}))) ++steps;
  EXPECT_EQ(steps, first);
}

}  // namespace
}  // namespace kvista::test
