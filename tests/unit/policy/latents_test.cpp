// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Policies that quantise what a plan stores: its latents, not the keys and values that are rebuilt from them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_lstsq.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

constexpr std::int64_t kTokens = 60;

LatentCoder hadamardOf(const std::string& bits) {
  const Policy& policy = *valueOf(findPolicy("hadamard"));
  return policy.makeLatentCoder(valueOf(PolicySettings::of("hadamard", policy.allOptions(), {{"bits", bits}})));
}

TEST(RotatedLatents, KeepLengthsAndSpreadASingleNumberOverAll) {
  // Of 16 numbers one alone becomes 16 of one size, which two levels say: rotated back it is what it was.
  for (std::int64_t direction = 0; direction < 16; ++direction) {
    at::Tensor spike = at::zeros({1, 16});
    spike[0][direction] = 3;
    EXPECT_LT(largestDifference(hadamardOf("1").readBack(spike), spike), 1e-2) << direction;
  }
  // Whatever the size: |error| <= sqrt(r) step / 2, step <= 2 |z| / 255, as no rotated number is larger than |z|.
  for (const std::int64_t width : {1, 3, 24, 40, 96, 100}) {
    const at::Tensor latents = gaussian({5, width}, 7).to(at::kFloat);
    const at::Tensor error = (hadamardOf("8").readBack(latents) - latents).norm(2, {1}), most = latents.norm(2, {1}) * std::sqrt(static_cast<double>(width)) / 255;
    EXPECT_TRUE(error.le(most * 1.01 + 1e-3).all().item<bool>()) << width;
  }
}

TEST(PolicyOnLatents, ATokenOfAGroupTakesItsRankInBitsAndAScaleWithAZero) {
  for (const char* method : {"joint", "palu-g"}) {
    const Planned made = planned(method);
    for (const std::int64_t bits : {8, 4, 3}) {
      PolicyCase held = PolicyCase::read({.policy = "hadamard", .options = {{"bits", std::to_string(bits)}}}, kTokens, made.transform.get());
      const std::int64_t exact = made.plan.exactTokens;
      EXPECT_EQ(held.run.bytes(held.cache)[0].item<std::int64_t>(), (kTokens - exact) * bytesPerToken(made.plan) + fullBytes(exact)) << "before it acts";
      std::int64_t byHand = fullBytes(exact);
      for (const Group& group : made.plan.groups) byHand += (kTokens - exact) * ((group.rank() * bits + 7) / 8 + (group.rank() > 0 ? 4 : 0));
      held.act();
      EXPECT_EQ(held.run.bytes(held.cache)[1].item<std::int64_t>(), byHand) << method << " at " << bits;
    }
  }
}

TEST(PolicyOnLatents, EightBitsAreNearlyThePlanAndFewerErrWithinItsSpace) {
  const Planned made = planned("separate");
  const auto heldAt = [&](const char* bits) {
    PolicyCase held = PolicyCase::read({.policy = "hadamard", .options = {{"bits", bits}}}, kTokens, made.transform.get());
    const LiveCache before = held.cache;
    held.act();
    return std::pair(before.layers[0], held.cache.layers[0]);
  };
  const auto [before, eight] = heldAt("8");
  EXPECT_LT(relativeDifference(eight.keys, before.keys), 0.01);
  EXPECT_LT(relativeDifference(eight.values, before.values), 0.02);  // orthonormal in the metric of the plan, not in that of values
  const auto [same, two] = heldAt("2");
  EXPECT_GT(relativeDifference(two.values, before.values), 0.1);
  // The error of values is up times an error of the latent; had the values been quantised, it would lie anywhere.
  std::size_t values = 0;
  while (made.plan.groups[values].slots.front().layer != 0 || made.plan.groups[values].slots.front().side != Side::value) ++values;
  ASSERT_LT(made.plan.groups[values].rank(), 256);
  const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), made.plan, {}));
  const at::Tensor errors = (two.values - before.values)[0].transpose(0, 1).flatten(1).to(at::kDouble).t();  // [256, tokens]
  const at::Tensor up = factors[values].up.to(at::kDouble);
  const at::Tensor latents = std::get<0>(at::linalg_lstsq(up, errors));
  EXPECT_LT(relativeDifference(up.matmul(latents), errors), 1e-3);
}

TEST(PolicyOnLatents, OthersAreRefused) {
  const Planned coded = planned("coded-joint"), made = planned("joint");
  const auto message = [](const PolicyRequest& request, const Planned& plan) { return errorOf(PolicyRun::begin(shortDecoder(), plan.transform.get(), request, kTokens)).message; };
  EXPECT_EQ(message({.policy = "hadamard"}, coded), "The policy hadamard quantises latents of 16 bits, and those of the plan are quantised already.");
  EXPECT_EQ(message({.policy = "kivi"}, made), "The policy kivi stores heads in its own way, and so does the plan.");
}

}  // namespace
}  // namespace kvista::test
