// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/compress/common_heads.h"
#include "export_cases.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int kHeadWidth = 8;

/// Of a model with 2 layers of 2 key-value heads of 8: one key for both, values in a latent of `rank` (layer 1: 3).
CompressionPlan latentPlan(int rank = 5) {
  CompressionPlan plan = planNamed("whole");
  plan.method = "manual";
  plan.groups = {group(0, {"K0", "K1"}, widths(kHeadWidth, 16)), group(0, {"V0", "V1"}, widths(rank, 16)),
                 group(1, {"K1", "K0"}, widths(kHeadWidth, 16)), group(1, {"V1", "V0"}, widths(3, 16))};
  return plan;
}

/// Random, but those of keys multiply each rotary pair by one complex number a head.
PlanFactors latentFactors(const CompressionPlan& plan, const HeadRotation& rotation) {
  PlanFactors factors = randomFactors(plan);
  std::mt19937 generator(3);
  std::normal_distribution<float> normal(0, 0.7F);
  for (std::size_t i = 0; i < factors.size(); i += 2) {
    at::Tensor up = at::zeros({2 * kHeadWidth, kHeadWidth}), down = at::zeros({kHeadWidth, 2 * kHeadWidth});
    for (const at::Tensor& pair : rotaryPairs(rotation).unbind()) {
      const auto a = pair[0].item<std::int64_t>(), b = pair[1].item<std::int64_t>();
      for (std::int64_t head = 0; head < 2; ++head) {
        const std::int64_t first = head * kHeadWidth;
        const float x = normal(generator), y = normal(generator), u = normal(generator), v = normal(generator);
        up[first + a][a] = x, up[first + a][b] = -y, up[first + b][a] = y, up[first + b][b] = x;
        down[a][first + a] = u, down[a][first + b] = v, down[b][first + a] = -v, down[b][first + b] = u;
      }
    }
    // Numbers that rest mix with each other.
    for (std::int64_t row = rotation.rotaryDim; row < kHeadWidth; ++row)
      for (std::int64_t column = rotation.rotaryDim; column < kHeadWidth; ++column)
        for (std::int64_t head = 0; head < 2; ++head) {
          up[head * kHeadWidth + row][column] = normal(generator);
          down[column][head * kHeadWidth + row] = normal(generator);
        }
    factors[i].up = up;
    factors[i].down = down;
  }
  return factors;
}

/// Halves and neighbours that rotate, whole heads and a part of them, other epsilons than the architecture's, a tied
/// head.
TEST(MlaExport, computesThePlan) {
  const TemporaryFolder folder;
  const CompressionPlan plan = latentPlan();
  struct Case {
    nlohmann::json changes;
    HeadRotation rotation;
  };
  const Case cases[] = {
      {{{"rms_norm_eps", 1e-6}}, {8, false}},
      {{{"rms_norm_eps", 1e-5}, {"tie_word_embeddings", true}, {"rope_theta", 500.0}}, {8, false}},
      {{{"model_type", "glm"}, {"partial_rotary_factor", 0.5}, {"attention_bias", false}, {"rms_norm_eps", 1e-4}},
       {4, true}}};
  int count = 0;
  for (const auto& [changes, rotation] : cases) {
    const std::string name = std::to_string(count++);
    const PlanFactors factors = latentFactors(plan, rotation);
    const TinyModel tiny = tinyModel(folder / name, changes);
    const auto [report, decoder] = checkExport(folder / (name + "-small"), tiny, plan, factors, "mla");
    const std::int64_t latent = 8;  // of 5 with the numbers that rest, in steps of 8
    EXPECT_EQ(report.bytesPerToken, 2 * 2 * ((rotation.rotaryDim == 8 ? latent : 2 * latent) + rotation.rotaryDim));
    EXPECT_THAT(report.notes, Contains(HasSubstr("The keys of 2 heads become one")));
    EXPECT_EQ(decoder->shape().cacheBytesPerToken(), report.bytesPerToken);
  }
}

TEST(MlaExport, makesTheNormOfLatentsTheIdentityForEveryInput) {
  const TemporaryFolder folder;
  const TinyModel tiny = tinyModel(folder / "model", {{"rms_norm_eps", 1e-6}});
  const CompressionPlan plan = latentPlan();
  valueOf(exportTo(folder / "small", tiny, plan, latentFactors(plan, {8, false}), "mla"));
  const Checkpoint written = valueOf(openCheckpoint(folder / "small"));
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    const at::Tensor rows = weightOf(written, layer + "self_attn.kv_a_proj_with_mqa.weight").narrow(0, 0, 8) *
                            weightOf(written, layer + "input_layernorm.weight");
    // Mean of squares for the input of 32 numbers that is worst.
    const double largest = rows.square().sum().item<double>() * 32 / 8;
    EXPECT_LE(largest, 1e-6 * 1e-6);
    EXPECT_GT(largest, 1e-6 * 1e-6 / 4.001);  // a power of two below
    const double weight = weightOf(written, layer + "self_attn.kv_a_layernorm.weight")[0].item<double>();
    EXPECT_NEAR(std::log2(weight / 1e-3), std::round(std::log2(weight / 1e-3)), 1e-6);
  }
}

TEST(MlaExport, refusesOtherPlansBeforeWritingAnything) {
  const TemporaryFolder folder;
  const TinyModel tiny = tinyModel(folder / "model");
  const auto refusal = [&](const CompressionPlan& plan, const PlanFactors& factors) {
    return refusalOf(folder / "small", tiny, plan, factors, "mla");
  };
  CompressionPlan plan = latentPlan();
  EXPECT_THAT(refusal(plan, randomFactors(plan)),
              HasSubstr("group 0 (keys of layer 0) mix numbers that rotate differently"));
  plan.groups[2] = group(1, {"K0", "K1"}, widths(7, 16));
  EXPECT_THAT(refusal(plan, randomFactors(plan)),
              HasSubstr("In layer 1 keys keep 7 directions; the form mla needs the 8 of one head"));
  plan = planNamed("joint");
  EXPECT_THAT(refusal(plan, randomFactors(plan)),
              HasSubstr("In layer 0 the heads' keys are not in one group and their values in another"));
}

}  // namespace
}  // namespace kvista::test
