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

/// Of a model with 2 layers of 2 key-value heads of 32: keys whole; values of head 1 keep `rank`, those of head 0 keep 15.
CompressionPlan narrowValues(int rank = 15) {
  CompressionPlan plan = planNamed("whole");
  plan.method = "values";
  plan.groups.clear();
  for (int layer = 0; layer < 2; ++layer)
    for (const Side side : {Side::key, Side::value})
      for (int head = 0; head < 2; ++head) {
        Group group;
        group.slots = {{layer, side, head}};
        group.widths = widths(side == Side::key ? kHeadWidth : head == 1 ? rank : 15, 16);
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

TEST(VOnlyExport, holdsNarrowerValuesAndTheirBiasesInOneOfTheirNumbers) {
  const TemporaryFolder folder;
  const CompressionPlan plan = narrowValues(5);
  const PlanFactors factors = randomFactors(plan);
  const TinyModel qwen = model(folder / "model", {{"model_type", "qwen2"}, {"architectures", {"Qwen2ForCausalLM"}}});
  const ExportReport report = valueOf(exportTo(folder / "small", qwen, plan, factors, "vOnly"));
  const Checkpoint written = valueOf(openCheckpoint(folder / "small"));
  EXPECT_EQ(written.config["v_head_dim"], 16);
  EXPECT_EQ(written.config["attention_bias"], true);
  EXPECT_EQ(report.bytesPerToken, 2 * 2 * (kHeadWidth + 16) * 2);
  EXPECT_THAT(report.notes, Contains(HasSubstr("with one number for biases: all have 16, so that a token takes 384 bytes instead of the plan's 336")));

  const std::string layer = "model.layers.1.self_attn.";
  // v' = D W, o' = O U; the last number of the first head is 1, and its column is what all biases of values become behind O.
  const at::Tensor values = read(qwen.checkpoint, layer + "v_proj.weight"), output = read(qwen.checkpoint, layer + "o_proj.weight");
  const at::Tensor own = read(written, layer + "v_proj.weight"), ownOutput = read(written, layer + "o_proj.weight");
  EXPECT_LT(largestDifference(own.narrow(0, 16, 5), at::matmul(factors[7].down.to(at::kDouble), values.narrow(0, kHeadWidth, kHeadWidth))), 1e-5);
  EXPECT_EQ(own.narrow(0, 21, 11).abs().max().item<double>(), 0);
  EXPECT_LT(largestDifference(ownOutput.narrow(1, 3 * 16, 5), at::matmul(output.narrow(1, 3 * kHeadWidth, kHeadWidth), factors[7].up.to(at::kDouble))), 1e-5);
  const at::Tensor bias = read(qwen.checkpoint, layer + "v_proj.bias");
  at::Tensor expected = at::zeros({48}, at::TensorOptions(at::kDouble));
  for (int query = 0; query < 4; ++query)
    expected = expected + at::matmul(output.narrow(1, query * kHeadWidth, kHeadWidth), bias.narrow(0, query / 2 * kHeadWidth, kHeadWidth));
  EXPECT_LT(largestDifference(ownOutput.select(1, 15), expected), 1e-5);
  const at::Tensor ownBias = read(written, layer + "v_proj.bias");
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
  for (const nlohmann::json& changes : {nlohmann::json{{"tie_word_embeddings", true}}, nlohmann::json{{"attention_bias", true}},
                                        nlohmann::json{{"model_type", "qwen2"}, {"rope_theta", 1e6}}}) {
    const std::string name = std::to_string(count++);
    const TinyModel tiny = model(folder / name, changes);
    valueOf(exportTo(folder / (name + "-small"), tiny, plan, factors, "vOnly"));
    const OpenedModel opened = valueOf(openModel(folder / (name + "-small")));
    const auto decoder = valueOf(Decoder::load(opened.checkpoint, {}, {}));
    EXPECT_EQ(decoder->shape().valueHeadDim, 16);
    const at::Tensor expected = logitsOf(*tiny.decoder, &plan, factors);
    EXPECT_LT(largestDifference(logitsOf(*decoder), expected), 1e-3) << changes;
    EXPECT_GT(largestDifference(logitsOf(*tiny.decoder), expected), 0.05) << "the plan changes nothing";
  }
}

TEST(VOnlyExport, refusesOtherPlansBeforeWritingAnything) {
  const TemporaryFolder folder;
  const TinyModel tiny = model(folder / "model");
  const auto refusal = [&](const CompressionPlan& plan) {
    const auto report = exportTo(folder / "small", tiny, plan, randomFactors(plan), "vOnly");
    EXPECT_FALSE(report) << "it was written";
    EXPECT_FALSE(std::filesystem::exists(folder / "small"));
    if (report) return std::string();
    EXPECT_EQ(report.error().code, ErrorCode::invalidArgument);
    return report.error().message + " " + report.error().hint;
  };
  CompressionPlan plan = narrowValues();
  plan.groups[1].widths[3] = 0;
  EXPECT_THAT(refusal(plan), HasSubstr("keeps keys as they are; group 1 of layer 0 compresses some. Plan with the method values"));
  plan = narrowValues();
  plan.groups[2].slots.push_back(plan.groups[3].slots.front());
  plan.groups[2].widths.resize(2 * kHeadWidth, 0);
  plan.groups.erase(plan.groups.begin() + 3);
  EXPECT_THAT(refusal(plan), HasSubstr("Group 2 shares one latent between 2 value heads"));
  EXPECT_THAT(refusal(narrowValues(25)), HasSubstr("would have 32 of 32 numbers, so that nothing would be saved: it has the plan's largest rank, in steps of 8. "
                                                   "Plan with the method values and --max-rank 24"));
}

}  // namespace
}  // namespace kvista::test
