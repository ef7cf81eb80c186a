// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "export_cases.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

/// Keys whole; values of head 1 keep `rank`, those of head 0 keep 15.
CompressionPlan narrowValues(int rank = 15) {
  CompressionPlan plan = headwisePlan([&](Side side, int head) {
    return side == Side::key ? kWideHead : head == 1 ? rank : 15;
  });
  plan.method = "values";
  return plan;
}

TEST(VOnlyExport, holdsNarrowerValuesAndTheirBiasesInOneOfTheirNumbers) {
  const TemporaryFolder folder;
  const CompressionPlan plan = narrowValues(5);
  const PlanFactors factors = randomFactors(plan);
  const TinyModel qwen =
      wideModel(folder / "model", {{"model_type", "qwen2"}, {"architectures", {"Qwen2ForCausalLM"}}});
  const ExportReport report = valueOf(exportTo(folder / "small", qwen, plan, factors, "vOnly"));
  const Checkpoint written = valueOf(openCheckpoint(folder / "small"));
  EXPECT_EQ(written.config["v_head_dim"], 16);
  EXPECT_EQ(written.config["attention_bias"], true);
  EXPECT_EQ(report.bytesPerToken, 2 * 2 * (kWideHead + 16) * 2);
  EXPECT_THAT(
      report.notes,
      Contains(HasSubstr(
          "with one number for biases: all have 16, so that a token takes 384 bytes instead of the plan's 336")));

  const std::string layer = "model.layers.1.self_attn.";
  // v' = D W, o' = O U; the last number of the first head is 1, and its column is what all biases of values become
  // behind O.
  const at::Tensor values = weightOf(qwen.checkpoint, layer + "v_proj.weight"),
                   output = weightOf(qwen.checkpoint, layer + "o_proj.weight");
  const at::Tensor own = weightOf(written, layer + "v_proj.weight"),
                   ownOutput = weightOf(written, layer + "o_proj.weight");
  EXPECT_LT(largestDifference(own.narrow(0, 16, 5),
                              at::matmul(factors[7].down.to(at::kDouble), values.narrow(0, kWideHead, kWideHead))),
            1e-5);
  EXPECT_EQ(own.narrow(0, 21, 11).abs().max().item<double>(), 0);
  EXPECT_LT(largestDifference(ownOutput.narrow(1, 3 * 16, 5),
                              at::matmul(output.narrow(1, 3 * kWideHead, kWideHead), factors[7].up.to(at::kDouble))),
            1e-5);
  EXPECT_LT(largestDifference(ownOutput.select(1, 15), outputOfValueBiases(qwen.checkpoint, layer, kWideHead)), 1e-5);
  const at::Tensor ownBias = weightOf(written, layer + "v_proj.bias");
  EXPECT_EQ(ownBias[15].item<double>(), 1);
  EXPECT_EQ(ownBias.sum().item<double>(), 1);
  EXPECT_FALSE(written.tensors->tensors().contains(layer + "o_proj.bias"));
}

/// With and without biases, and with a head of its own in place of a tied one.
TEST(VOnlyExport, computesThePlan) {
  const TemporaryFolder folder;
  const CompressionPlan plan = narrowValues();
  const PlanFactors factors = randomFactors(plan);
  int count = 0;
  for (const nlohmann::json& changes :
       {nlohmann::json{{"tie_word_embeddings", true}}, nlohmann::json{{"attention_bias", true}},
        nlohmann::json{{"model_type", "qwen2"}, {"rope_theta", 1e6}}}) {
    const std::string name = std::to_string(count++);
    EXPECT_EQ(checkExport(folder / (name + "-small"), wideModel(folder / name, changes), plan, factors, "vOnly")
                  .decoder->shape()
                  .valueHeadDim,
              16);
  }
}

TEST(VOnlyExport, refusesOtherPlansBeforeWritingAnything) {
  const TemporaryFolder folder;
  const TinyModel tiny = wideModel(folder / "model");
  const auto refusal = [&](const CompressionPlan& plan) {
    return refusalOf(folder / "small", tiny, plan, randomFactors(plan), "vOnly");
  };
  CompressionPlan plan = narrowValues();
  plan.groups[1].widths[3] = 0;
  EXPECT_THAT(refusal(plan),
              HasSubstr("keeps keys as they are; group 1 of layer 0 compresses some. Plan with the method values"));
  plan = narrowValues();
  plan.groups[2].slots.push_back(plan.groups[3].slots.front());
  plan.groups[2].widths.resize(2 * kWideHead, 0);
  plan.groups.erase(plan.groups.begin() + 3);
  EXPECT_THAT(refusal(plan), HasSubstr("Group 2 shares one latent between 2 value heads"));
  EXPECT_THAT(
      refusal(narrowValues(25)),
      HasSubstr(
          "would have 32 of 32 numbers, so that nothing would be saved: it has the plan's largest rank, in steps of 8. "
          "Plan with the method values and --max-rank 24"));
}

}  // namespace
}  // namespace kvista::test
