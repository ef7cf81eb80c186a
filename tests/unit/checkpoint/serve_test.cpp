// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/checkpoint/open_model.h"
#include "core/checkpoint/tensor_source.h"
#include "export_cases.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int kHeadWidth = 32;

/// Of a model with 2 layers of 2 key-value heads of 32: every head alone, keys after RoPE; values of head 1 keep `rank`, all others 16.
CompressionPlan servable(int rank = 16) {
  CompressionPlan plan = planNamed("afterRope");
  plan.storage = Storage::lowRank16;
  plan.groups.clear();
  for (int layer = 0; layer < 2; ++layer)
    for (const Side side : {Side::key, Side::value})
      for (int head = 0; head < 2; ++head) {
        Group group;
        group.slots = {{layer, side, head}};
        group.widths = widths(side == Side::value && head == 1 ? rank : 16, 16);
        group.widths.resize(kHeadWidth, 0);
        plan.groups.push_back(group);
      }
  return plan;
}

TinyModel model(const std::filesystem::path& folder, nlohmann::json changes = nlohmann::json::object()) {
  nlohmann::json all = {{"head_dim", kHeadWidth}, {"hidden_size", 48}};
  all.update(changes);
  return tinyModel(folder, all);
}

at::Tensor read(const Checkpoint& checkpoint, const std::string& name) { return valueOf(readWeight(*checkpoint.tensors, name)).to(at::kDouble); }

TEST(ServeExport, holdsThePlansFactorsPaddedToOneRank) {
  const TemporaryFolder folder;
  const CompressionPlan plan = servable(5);
  const PlanFactors factors = randomFactors(plan);
  const TinyModel qwen = model(folder / "model", {{"model_type", "qwen2"}, {"architectures", {"Qwen2ForCausalLM"}}});
  const ExportReport report = valueOf(exportTo(folder / "served", qwen, plan, factors, "serve"));
  const Checkpoint written = valueOf(openCheckpoint(folder / "served"));
  EXPECT_EQ(written.config["head_dim"], 16);
  EXPECT_EQ(written.config["rope_head_dim"], kHeadWidth);
  EXPECT_EQ(report.bytesPerToken, 2 * 2 * 2 * 16 * 2);
  EXPECT_THAT(report.notes, Contains(HasSubstr("all have 16, which takes 256 bytes a token instead of the plan's 212")));
  EXPECT_THAT(report.notes, Contains(HasSubstr("first 4 tokens")));

  const std::string layer = "model.layers.1.self_attn.";
  EXPECT_LT(largestDifference(read(written, layer + "key_basis")[1], factors[5].down.t()), 1e-7);
  EXPECT_LT(largestDifference(read(written, layer + "query_basis")[1], factors[5].up), 1e-7);
  // v' = D W; the output projection rebuilds, and takes the bias of values, which attention passes on as it is.
  const at::Tensor values = read(qwen.checkpoint, layer + "v_proj.weight"), output = read(qwen.checkpoint, layer + "o_proj.weight");
  const at::Tensor own = read(written, layer + "v_proj.weight");
  EXPECT_LT(largestDifference(own.narrow(0, 16, 5), at::matmul(factors[7].down.to(at::kDouble), values.narrow(0, kHeadWidth, kHeadWidth))), 1e-5);
  EXPECT_EQ(own.narrow(0, 21, 11).abs().max().item<double>(), 0);
  EXPECT_LT(largestDifference(read(written, layer + "o_proj.weight").narrow(1, 3 * 16, 5),
                              at::matmul(output.narrow(1, 3 * kHeadWidth, kHeadWidth), factors[7].up.to(at::kDouble))),
            1e-5);
  const at::Tensor bias = read(qwen.checkpoint, layer + "v_proj.bias");
  at::Tensor expected = at::zeros({48}, at::TensorOptions(at::kDouble));
  for (int query = 0; query < 4; ++query)
    expected = expected + at::matmul(output.narrow(1, query * kHeadWidth, kHeadWidth), bias.narrow(0, query / 2 * kHeadWidth, kHeadWidth));
  EXPECT_LT(largestDifference(read(written, layer + "o_proj.bias"), expected), 1e-5);
  EXPECT_FALSE(written.tensors->tensors().contains(layer + "v_proj.bias"));
}

/// Every way in which biases of values and of the output, norms, windows and rotations meet.
TEST(ServeExport, isReadBackAsThePlanComputes) {
  const TemporaryFolder folder;
  CompressionPlan plan = servable();
  plan.exactTokens = 0;
  const PlanFactors factors = randomFactors(plan);
  const std::vector<nlohmann::json> cases = {{{"model_type", "llama"}}, {{"model_type", "llama"}, {"attention_bias", true}}, {{"model_type", "qwen2"}},
                                             {{"model_type", "qwen3"}}, {{"model_type", "mistral"}, {"sliding_window", 5}}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string name = std::to_string(i);
    const TinyModel original = model(folder / name, cases[i]);
    valueOf(exportTo(folder / (name + "s"), original, plan, factors, "serve"));
    const OpenedModel opened = valueOf(openModel(folder / (name + "s")));
    ASSERT_TRUE(opened.plan);
    const auto decoder = valueOf(Decoder::load(opened.checkpoint, {}, {}));
    EXPECT_LT(largestDifference(logitsOf(*decoder, &*opened.plan, opened.factors), logitsOf(*original.decoder, &plan, factors)), 1e-3) << cases[i];
    EXPECT_GT(largestDifference(logitsOf(*original.decoder), logitsOf(*original.decoder, &plan, factors)), 0.05) << cases[i];
  }
}

TEST(ServeExport, refusesModelsThatEnginesComputeOtherwise) {
  const TemporaryFolder folder;
  int count = 0;
  const auto refusal = [&](const nlohmann::json& changes) {
    const CompressionPlan plan = servable();
    const auto report = exportTo(folder / "served", model(folder / std::to_string(count++), changes), plan, randomFactors(plan), "serve");
    if (report) return std::string("written");
    EXPECT_THAT(report.error().hint, HasSubstr("Export the form latent"));
    return report.error().message;
  };
  EXPECT_EQ(refusal({{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}}}}), "written");
  EXPECT_THAT(refusal({{"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2.0}}}}), HasSubstr("change with the text's length"));
  EXPECT_THAT(refusal({{"model_type", "gemma2"}, {"query_pre_attn_scalar", 8}, {"attn_logit_softcapping", 50.0}}), HasSubstr("scores are capped"));
}

}  // namespace
}  // namespace kvista::test
