// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/checkpoint/open_model.h"
#include "core/checkpoint/palu_model.h"
#include "core/io/json_file.h"
#include "export_cases.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

/// Keys in groups of one head, of which the second comes first; values together; layer 1 keeps its values whole.
CompressionPlan perHead() {
  CompressionPlan plan = planNamed("separate");
  plan.groups.clear();
  for (int layer = 0; layer < 2; ++layer) {
    plan.groups.push_back(group(layer, {"K1"}, widths(5, 16)));
    plan.groups.push_back(group(layer, {"K0"}, layer == 0 ? widths(3, 16) : widths(8, 16)));
    plan.groups.push_back(group(layer, {"V0", "V1"}, widths(layer == 0 ? 11 : 16, 16)));
  }
  return plan;
}

TEST(PaluExport, multipliesToThePlansFactors) {
  const TemporaryFolder folder;
  const CompressionPlan plan = perHead();
  const PlanFactors factors = randomFactors(plan);
  const TinyModel model = tinyModel(folder / "model", {{"attention_bias", true}});
  const ExportReport report = valueOf(exportTo(folder / "palu", model, plan, factors, "palu"));
  const Checkpoint written = valueOf(openCheckpoint(folder / "palu"));
  const std::string keys = "model.layers.0.self_attn.k_proj", values = "model.layers.0.self_attn.v_proj";
  EXPECT_EQ(written.config["model_type"], "palullama");
  EXPECT_EQ(written.config["architectures"][0], "PaluLlamaForCausalLM");
  EXPECT_EQ(written.config["head_wise_ranks"],
            (nlohmann::json{{keys, {5, 3}}, {values, {11}}, {"model.layers.1.self_attn.k_proj", {5, 8}}}));
  EXPECT_EQ(written.config["permutation_info"][keys], (nlohmann::json{{"0", 1}, {"1", 0}}));
  EXPECT_FALSE(written.config["permutation_info"].contains(values));
  EXPECT_FALSE(written.tensors->tensors().contains(keys + ".weight"));
  EXPECT_TRUE(written.tensors->tensors().contains("model.layers.1.self_attn.v_proj.weight"));

  // U.g VT.g is L R of the plan: up (down W).
  const at::Tensor down = weightOf(written, keys + ".VT.weight"), weight = weightOf(model.checkpoint, keys + ".weight");
  EXPECT_EQ(down.sizes(), at::IntArrayRef({8, 32}));
  for (const auto& [place, head, begin, rank] : {std::tuple(0, 1, 0, 5), std::tuple(1, 0, 5, 3)}) {
    const GroupFactors& own = factors[static_cast<std::size_t>(place)];
    const at::Tensor expected =
        at::matmul(own.up.to(at::kDouble), at::matmul(own.down.to(at::kDouble), weight.narrow(0, head * 8, 8)));
    const at::Tensor found =
        at::matmul(weightOf(written, keys + ".U." + std::to_string(place) + ".weight"), down.narrow(0, begin, rank));
    EXPECT_LT(largestDifference(found, expected), 1e-5);
    EXPECT_LT(largestDifference(weightOf(written, keys + ".U." + std::to_string(place) + ".bias"),
                                weightOf(model.checkpoint, keys + ".bias").narrow(0, head * 8, 8)),
              1e-7);
  }

  const auto decoder = valueOf(Decoder::load(valueOf(openModel(folder / "palu")).checkpoint, {}, {}));
  EXPECT_LT(largestDifference(logitsOf(*decoder), logitsOf(*model.decoder, &plan, factors)), 1e-3);
  EXPECT_EQ(report.bytesPerToken, model.decoder->shape().cacheBytesPerToken());
  EXPECT_THAT(report.notes,
              Contains(HasSubstr("latents would take " + std::to_string(bytesPerToken(plan)) + " bytes a token")));
  EXPECT_THAT(report.notes, Contains(HasSubstr("Heads are grouped in another order")));
}

TEST(PaluExport, needsNoPermutationForHeadsInTheirOrder) {
  const TemporaryFolder folder;
  CompressionPlan plan = planNamed("separate");
  for (Group& group : plan.groups) std::ranges::sort(group.slots);
  plan.exactTokens = 4;
  const TinyModel model =
      tinyModel(folder / "model", {{"model_type", "mistral"}, {"architectures", {"MistralForCausalLM"}}});
  const ExportReport report = valueOf(exportTo(folder / "palu", model, plan, randomFactors(plan), "palu"));
  const Checkpoint written = valueOf(openCheckpoint(folder / "palu"));
  EXPECT_EQ(written.config["model_type"], "palumistral");
  EXPECT_TRUE(written.config["permutation_info"].empty());
  EXPECT_THAT(report.notes, Contains(HasSubstr("first 4 tokens")));
}

TEST(PaluExport, refusesWhatTheScriptsCannotReadBeforeWritingAnything) {
  const TemporaryFolder folder;
  const TinyModel llama = tinyModel(folder / "llama");
  const auto refusal = [&](const TinyModel& model, const CompressionPlan& plan, const char* hint) {
    std::string said = refusalOf(folder / "palu", model, plan, randomFactors(plan), "palu");
    if (said != "written") {
      EXPECT_THAT(said, HasSubstr(hint));
    }
    return said;
  };
  EXPECT_THAT(refusal(llama, planNamed("coded"), "the form latent"), HasSubstr("this plan's are codes"));
  CompressionPlan rotated = planNamed("afterRope");
  rotated.storage = Storage::lowRank16;
  for (Group& group : rotated.groups)
    for (std::uint8_t& width : group.widths) width = width == 0 ? 0 : 16;
  EXPECT_THAT(refusal(llama, rotated, "the form latent"), HasSubstr("before RoPE; this plan does it after"));
  EXPECT_THAT(refusal(llama, planNamed("joint"), "separate"),
              HasSubstr("Group 0 shares one latent between keys and values"));
  EXPECT_THAT(refusal(llama, planNamed("mixed"), "--min-rank"), HasSubstr("keeps nothing"));
  CompressionPlan uneven = planNamed("separate");
  uneven.groups[1] = group(0, {"V0"}, widths(3, 16));
  uneven.groups.push_back(group(0, {"V1"}, widths(3, 16)));
  EXPECT_EQ(refusal(llama, uneven, ""), "written");
  const TinyModel wide = tinyModel(folder / "wide", {{"num_key_value_heads", 4}});
  CompressionPlan three;
  three = planNamed("separate");
  three.groups.clear();
  for (int layer = 0; layer < 2; ++layer) {
    three.groups.push_back(group(layer, {"K0", "K1", "K2"}, widths(9, 16)));
    three.groups.push_back(group(layer, {"K3"}, widths(3, 16)));
    three.groups.push_back(group(layer, {"V0", "V1", "V2", "V3"}, widths(9, 16)));
  }
  EXPECT_THAT(refusal(wide, three, "separate"), HasSubstr("The keys of layer 0 are in groups of 3 and of 1 heads"));
  EXPECT_THAT(refusal(tinyModel(folder / "qwen3", {{"model_type", "qwen3"}}), planNamed("separate"), "latent"),
              HasSubstr("know Llama and Mistral models; this one is of the family qwen3"));
  EXPECT_THAT(refusal(tinyModel(folder / "narrow", {{"hidden_size", 64}}), planNamed("separate"), "latent"),
              HasSubstr("64 / 4; here it is 8"));
  EXPECT_THAT(refusal(tinyModel(folder / "stretched",
                                {{"rope_scaling",
                                  {{"rope_type", "yarn"}, {"factor", 2.0}, {"original_max_position_embeddings", 32}}}}),
                      planNamed("separate"), "latent"),
              HasSubstr("stretched other than linearly or dynamically"));
}

class DamagedPalu : public ::testing::Test {
 protected:
  DamagedPalu() {
    const TinyModel model = tinyModel(folder / "model");
    const CompressionPlan plan = perHead();
    valueOf(exportTo(folder / "palu", model, plan, randomFactors(plan), "palu"));
  }
  std::string errorAfter(const std::function<void(nlohmann::json&)>& edit) {
    const auto file = folder / "palu" / "config.json";
    const std::string before = readText(file);
    nlohmann::json config = valueOf(readJsonFile(file));
    edit(config);
    writeText(file, config.dump());
    const auto opened = openModel(folder / "palu");
    writeText(file, before);
    return opened ? "opened" : opened.error().message;
  }
  const TemporaryFolder folder;
  const std::string keys = "model.layers.0.self_attn.k_proj";
};

TEST_F(DamagedPalu, namesWhatDoesNotFit) {
  EXPECT_EQ(errorAfter([](auto&) {}), "opened");
  EXPECT_THAT(errorAfter([](auto& config) { config["head_wise_ranks"] = 3; }),
              HasSubstr("head_wise_ranks in config.json is not an object"));
  for (const nlohmann::json& ranks : {nlohmann::json(3), nlohmann::json::array(), nlohmann::json{-1, 4},
                                      nlohmann::json{1.5}, nlohmann::json{"a"}, nlohmann::json{1LL << 40}})
    EXPECT_THAT(errorAfter([&](auto& config) { config["head_wise_ranks"][keys] = ranks; }),
                HasSubstr("is not a list of ranks"))
        << ranks;
  EXPECT_THAT(errorAfter([&](auto& config) {
                config["head_wise_ranks"][keys] = {5, 4};
              }),
              HasSubstr("has 8 rows, its ranks need 9"));
  EXPECT_THAT(errorAfter([&](auto& config) {
                config["head_wise_ranks"][keys] = {4, 4};
              }),
              HasSubstr("has shape [8, 5], not [8, 4]"));
  EXPECT_THAT(errorAfter([&](auto& config) {
                config["head_wise_ranks"][keys] = {5, 3, 0};
              }),
              HasSubstr("U.2.weight\" is missing"));
  EXPECT_THAT(errorAfter([&](auto& config) { config["head_wise_ranks"]["nothing"] = {5}; }),
              HasSubstr("nothing.VT.weight"));
  using Order = std::map<std::string, int>;
  for (const auto& order : {Order{{"0", 0}, {"1", 0}}, Order{{"0", 2}, {"1", 0}}, Order{{"0", 0}, {"x", 1}},
                            Order{{"0", -1}, {"1", 0}}, Order{{"0", 0}, {"01", 1}, {"2", 2}}, Order{}})
    EXPECT_THAT(errorAfter([&](auto& config) { config["permutation_info"][keys] = order; }),
                HasSubstr("is not an order of heads"));
}

}  // namespace
}  // namespace kvista::test
