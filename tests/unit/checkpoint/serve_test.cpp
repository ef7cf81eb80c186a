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

/// Keys after RoPE; values of head 1 keep `rank`, everything else 16.
CompressionPlan servable(int rank = 16) {
  CompressionPlan plan =
      headwisePlan([&](Side side, int head) { return side == Side::value && head == 1 ? rank : 16; });
  plan.keyPosition = KeyPosition::afterRope;
  plan.exactTokens = 4;
  return plan;
}

TEST(ServeExport, holdsThePlansFactorsPaddedToOneRank) {
  const TemporaryFolder folder;
  const CompressionPlan plan = servable(5);
  const PlanFactors factors = randomFactors(plan);
  const TinyModel qwen =
      wideModel(folder / "model", {{"model_type", "qwen2"}, {"architectures", {"Qwen2ForCausalLM"}}});
  const ExportReport report = valueOf(exportTo(folder / "served", qwen, plan, factors, "serve"));
  const Checkpoint written = valueOf(openCheckpoint(folder / "served"));
  EXPECT_EQ(written.config["head_dim"], 16);
  EXPECT_EQ(written.config["rope_head_dim"], kWideHead);
  EXPECT_EQ(report.bytesPerToken, 2 * 2 * 2 * 16 * 2);
  EXPECT_THAT(report.notes,
              Contains(HasSubstr("all have 16, which takes 256 bytes a token instead of the plan's 212")));
  EXPECT_THAT(report.notes, Contains(HasSubstr("first 4 tokens")));

  const std::string layer = "model.layers.1.self_attn.";
  EXPECT_LT(largestDifference(weightOf(written, layer + "key_basis")[1], factors[5].down.t()), 1e-7);
  EXPECT_LT(largestDifference(weightOf(written, layer + "query_basis")[1], factors[5].up), 1e-7);
  // v' = D W; the output projection rebuilds, and takes the bias of values, which attention passes on as it is.
  const at::Tensor values = weightOf(qwen.checkpoint, layer + "v_proj.weight"),
                   output = weightOf(qwen.checkpoint, layer + "o_proj.weight");
  const at::Tensor own = weightOf(written, layer + "v_proj.weight");
  EXPECT_LT(largestDifference(own.narrow(0, 16, 5),
                              at::matmul(factors[7].down.to(at::kDouble), values.narrow(0, kWideHead, kWideHead))),
            1e-5);
  EXPECT_EQ(own.narrow(0, 21, 11).abs().max().item<double>(), 0);
  EXPECT_LT(largestDifference(weightOf(written, layer + "o_proj.weight").narrow(1, 3 * 16, 5),
                              at::matmul(output.narrow(1, 3 * kWideHead, kWideHead), factors[7].up.to(at::kDouble))),
            1e-5);
  EXPECT_LT(largestDifference(weightOf(written, layer + "o_proj.bias"),
                              outputOfValueBiases(qwen.checkpoint, layer, kWideHead)),
            1e-5);
  EXPECT_FALSE(written.tensors->tensors().contains(layer + "v_proj.bias"));
}

/// Every way in which biases of values and of the output, norms, windows and rotations meet.
TEST(ServeExport, isReadBackAsThePlanComputes) {
  const TemporaryFolder folder;
  CompressionPlan plan = servable();
  plan.exactTokens = 0;
  const PlanFactors factors = randomFactors(plan);
  const std::vector<nlohmann::json> cases = {{{"model_type", "llama"}},
                                             {{"model_type", "llama"}, {"attention_bias", true}},
                                             {{"model_type", "qwen2"}},
                                             {{"model_type", "qwen3"}},
                                             {{"model_type", "mistral"}, {"sliding_window", 5}}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string name = std::to_string(i);
    checkExport(folder / (name + "s"), wideModel(folder / name, cases[i]), plan, factors, "serve");
  }
}

TEST(ServeExport, refusesModelsThatEnginesComputeOtherwise) {
  const TemporaryFolder folder;
  int count = 0;
  const auto refusal = [&](const nlohmann::json& changes) {
    const CompressionPlan plan = servable();
    std::string said = refusalOf(folder / "served", wideModel(folder / std::to_string(count++), changes), plan,
                                 randomFactors(plan), "serve");
    if (said != "written") {
      EXPECT_THAT(said, HasSubstr("Export the form latent"));
    }
    return said;
  };
  EXPECT_EQ(refusal({{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}}}}), "written");
  EXPECT_THAT(refusal({{"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2.0}}}}),
              HasSubstr("change with the text's length"));
  EXPECT_THAT(refusal({{"model_type", "gemma2"}, {"query_pre_attn_scalar", 8}, {"attn_logit_softcapping", 50.0}}),
              HasSubstr("scores are capped"));
}

}  // namespace
}  // namespace kvista::test
