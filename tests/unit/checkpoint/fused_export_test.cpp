// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Exports of models that store projections of keys and values together with others, of fixtures of their families.
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/checkpoint/open_model.h"
#include "core/checkpoint/tensor_source.h"
#include "export_cases.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

struct Fused {
  std::string family;
  std::string tensor;  ///< Of layer 1.
  bool isTransposed;
  std::function<bool(std::int64_t row)> isQuery;
};

class FusedExport : public ::testing::TestWithParam<Fused> {
 protected:
  void SetUp() override {
    const auto source = std::filesystem::path(KVISTA_SHARED_DIR) / "fixtures" / "families" / GetParam().family;
    if (!std::filesystem::exists(source))
      GTEST_SKIP() << "the shared checkpoints are not here: " << source << " is missing";
    model = {source, valueOf(openCheckpoint(source)), nullptr};
    model.decoder = valueOf(Decoder::load(model.checkpoint, {}, {}));
    const ModelShape& shape = model.decoder->shape();
    plan.method = plan.grouping = "manual";
    plan.allocator = "waterline";
    plan.storage = Storage::lowRank16;
    plan.rankStep = 1;
    for (int layer = 0; layer < shape.layers; ++layer) {
      Group& all = plan.groups.emplace_back();
      for (const Side side : {Side::key, Side::value})
        for (int head = 0; head < shape.kvHeads; ++head) all.slots.push_back({layer, side, head});
      all.widths = widths(shape.cacheWidth() / 2, 16);
      all.widths.resize(static_cast<std::size_t>(shape.cacheWidth()), 0);
    }
    factors = randomFactors(plan);
  }

  const TemporaryFolder folder;
  TinyModel model;
  CompressionPlan plan;
  PlanFactors factors;
};

TEST_P(FusedExport, denseChangesRowsOfKeysAndValuesOnly) {
  ASSERT_TRUE(valueOf(exportTo(folder / "dense", model, plan, factors, "dense")).verified);
  const Checkpoint written = valueOf(openCheckpoint(folder / "dense"));
  EXPECT_EQ(written.config, model.checkpoint.config);
  const auto& before = *model.checkpoint.tensors;
  ASSERT_EQ(written.tensors->tensors().size(), before.tensors().size());
  int changed = 0;
  for (const auto& [name, tensor] : before.tensors()) {
    const TensorInfo& other = written.tensors->tensors().at(name);
    EXPECT_EQ(other.shape, tensor.shape) << name;
    EXPECT_EQ(other.type, tensor.type) << name;
    changed += std::ranges::equal(written.tensors->raw(other), before.raw(tensor)) ? 0 : 1;
  }
  EXPECT_EQ(changed, model.decoder->shape().layers);

  at::Tensor original = valueOf(readWeight(before, GetParam().tensor)),
             found = valueOf(readWeight(*written.tensors, GetParam().tensor));
  const at::Tensor isSame = (original == found).all(GetParam().isTransposed ? 0 : 1);
  for (std::int64_t row = 0; row < isSame.size(0); ++row)
    EXPECT_EQ(isSame[row].item<bool>(), GetParam().isQuery(row)) << row;
}

TEST_P(FusedExport, latentOpensAsTheSameModelAndPlan) {
  ASSERT_TRUE(valueOf(exportTo(folder / "latent", model, plan, factors, "latent")).verified);
  const OpenedModel opened = valueOf(openModel(folder / "latent"));
  EXPECT_EQ(opened.plan, plan);
  EXPECT_FALSE(valueOf(openCheckpoint(folder / "latent")).tensors->tensors().contains(GetParam().tensor));
  const auto decoder = valueOf(Decoder::load(opened.checkpoint, {}, {}));
  const at::Tensor expected = logitsOf(*model.decoder, &plan, factors);
  EXPECT_LT(largestDifference(logitsOf(*decoder, &plan, opened.factors), expected), 1e-3);
  EXPECT_GT(largestDifference(logitsOf(*model.decoder), expected), 0.05) << "the plan changes nothing";
}

INSTANTIATE_TEST_SUITE_P(
    Families, FusedExport,
    ::testing::Values(Fused{"phi3", "model.layers.1.self_attn.qkv_proj.weight", false,
                            [](std::int64_t row) { return row < 48; }},
                      Fused{"gpt2", "h.1.attn.c_attn.weight", true, [](std::int64_t row) { return row < 48; }},
                      // Of each head of keys: two heads of queries, the keys and the values, 12 rows each.
                      Fused{"falcon-new", "transformer.h.1.self_attention.query_key_value.weight", false,
                            [](std::int64_t row) { return row % 48 < 24; }},
                      Fused{"deepseek_v2", "model.layers.1.self_attn.kv_a_proj_with_mqa.weight", false,
                            [](std::int64_t) { return false; }}),
    [](const auto& info) {
      std::string name = info.param.family;
      std::erase_if(name, [](char letter) { return std::isalnum(static_cast<unsigned char>(letter)) == 0; });
      return name;
    });

}  // namespace
}  // namespace kvista::test
