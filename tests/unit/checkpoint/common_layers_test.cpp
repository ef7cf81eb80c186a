// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// CommonKV where keys and values are fewer than their inputs: latents of inputs, from plan to export.
#include "core/compress/common_layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/calibration/statistics_pass.h"
#include "core/checkpoint/latent_policy.h"
#include "core/checkpoint/open_model.h"
#include "core/compress/factor_file.h"
#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/evaluate/plan_errors.h"
#include "core/policy/policy_run.h"
#include "export_cases.h"

namespace kvista::test {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kInputs = 48, kOutputs = 32, kRank = 16, kTokens = 12;

std::filesystem::path folder(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / "common_layers" / name;
  std::filesystem::remove_all(path);
  return path;
}

/// Four layers of one space and one of its own, planned at half of the cache.
struct Case {
  TinyModel model;
  CompressionPlan plan;
  PlanFactors factors;
};

CompressionPlan plannedAt(const Decoder& decoder, double share) {
  PlanRequest request;
  request.method = "commonkv";
  request.target = {Target::Kind::share, share};
  return valueOf(makePlan(decoder, nullptr, request, {})).planned.plan;
}

const Case& half() {
  static const Case made = [] {
    Case planned{tinyModel(folder("model"), {{"hidden_size", kInputs}, {"num_hidden_layers", 5}}), {}, {}};
    planned.plan = plannedAt(*planned.model.decoder, 0.5);
    planned.factors = valueOf(makeFactors(*planned.model.decoder, nullptr, planned.plan, {}));
    return planned;
  }();
  return made;
}

const Decoder& decoder() { return *half().model.decoder; }

PlanTransform transformOf(const CompressionPlan& plan) { return {plan, half().factors, decoder().shape(), at::kCPU}; }

at::Tensor idsOf(std::int64_t windows, std::int64_t tokens) {
  return (at::arange(windows * tokens, at::TensorOptions(at::kLong)) * 17 + 3).remainder(61).view({windows, tokens});
}

at::Tensor projections(const Decoder& of, int layer) {
  return at::cat({of.keyWeight(layer), of.valueWeight(layer)}).to(at::kDouble);
}

/// V_r^T of all layers that share one space with this.
at::Tensor sharedDown(int layer) {
  std::vector<at::Tensor> all;
  for (int which = layer / 4 * 4; which < std::min(layer / 4 * 4 + 4, 5); ++which)
    all.push_back(projections(decoder(), which));
  return std::get<2>(at::linalg_svd(at::cat(all), false)).narrow(0, 0, kRank);
}

TEST(CommonLayersOfInputs, StandForWeightsThatShareAFactor) {
  const auto& [model, plan, factors] = half();
  const CheckedExport dense = checkExport(folder("dense"), model, plan, factors, "dense");
  ASSERT_EQ(factors.size(), 5U);
  for (int layer = 0; layer < 5; ++layer) {
    const GroupFactors& own = factors[static_cast<std::size_t>(layer)];
    EXPECT_EQ(own.down.sizes(), (at::IntArrayRef{kRank, kInputs}));
    const at::Tensor down = sharedDown(layer), weight = projections(decoder(), layer);
    EXPECT_LT(largestDifference(projections(*dense.decoder, layer), at::matmul(at::matmul(weight, down.t()), down)),
              1e-4)
        << layer;
    EXPECT_EQ(own.down.equal(factors[0].down), layer < 4) << layer;
  }
  EXPECT_EQ(bytesPerToken(plan), 5 * 2 * kRank);

  const auto file = folder("factors.safetensors");
  std::filesystem::create_directories(file.parent_path());
  ASSERT_TRUE(saveFactors(file, plan, factors, "0123456789abcdef", {}));
  const PlanFactors again = valueOf(loadFactors(file, plan, decoder().shape(), "0123456789abcdef"));
  EXPECT_TRUE(again[4].down.equal(factors[4].down));
}

TEST(CommonLayersOfInputs, LoseNothingAtFullRankAndTheTailBelow) {
  for (const Group& group : plannedAt(decoder(), 1).groups) EXPECT_TRUE(group.isUncompressed());
  // Nothing beside it: its rows lie in as many directions.
  const GroupBasis alone = valueOf(commonLayerBasis(decoder(), 4, 4));
  EXPECT_LT(largestDifference(at::matmul(alone.up, alone.down), projections(decoder(), 4)), 1e-9);
  double whole = 0, lost = 0, kept = 0;
  for (int layer = 0; layer < 4; ++layer) {
    const GroupBasis basis = valueOf(commonLayerBasis(decoder(), layer, 4));
    const at::Tensor weight = projections(decoder(), layer);
    whole += weight.square().sum().item<double>() / 4;
    lost += (weight - at::matmul(basis.up.narrow(1, 0, kRank), basis.down.narrow(0, 0, kRank)))
                .square()
                .sum()
                .item<double>() /
            4;
    ASSERT_EQ(basis.spectrum.eigenvalues.size(), static_cast<std::size_t>(kOutputs));
    if (layer == 0)
      for (std::size_t i = 0; i < kRank; ++i) kept += basis.spectrum.eigenvalues[i];
  }
  EXPECT_NEAR(lost, whole - kept, 1e-9 * whole);
}

TEST(CommonLayersOfInputs, AreExportedAsTheyAre) {
  const auto& [model, plan, factors] = half();
  const auto target = folder("latent");
  const CheckedExport latent = checkExport(target, model, plan, factors, "latent");
  EXPECT_EQ(latent.report.bytesPerToken, bytesPerToken(plan));
  const Checkpoint written = valueOf(openCheckpoint(target));
  for (int layer = 0; layer < 5; ++layer) {
    const std::string attention = "model.layers." + std::to_string(layer) + ".self_attn.";
    EXPECT_LT(largestDifference(weightOf(written, attention + "groups.0.down.weight"),
                                factors[static_cast<std::size_t>(layer)].down.to(at::kDouble)),
              1e-7);
    EXPECT_FALSE(written.tensors->tensors().contains(attention + "k_proj.weight"));
  }
  // An export is a model with a plan: what it computes can be written again.
  const OpenedModel opened = valueOf(openModel(target));
  const TinyModel second{target, opened.checkpoint, latent.decoder};
  checkExport(folder("again"), second, *opened.plan, opened.factors, "latent");

  CompressionPlan exact = plan;
  exact.exactTokens = 4;
  EXPECT_THAT(refusalOf(folder("exact"), model, exact, factors, "latent"), HasSubstr("keeps 4 first tokens exact"));
  for (const char* policy : {"cskv", "kvzip"}) {
    const auto refused = checkLatentPolicy({.policy = policy, .share = 0.5}, plan, decoder().description());
    ASSERT_FALSE(refused) << policy;
    EXPECT_THAT(refused.error().message,
                HasSubstr("reads whole keys and values, but the plan makes latents of 48 inputs"));
  }
  EXPECT_TRUE(checkLatentPolicy({.policy = "snapkv", .share = 0.5}, plan, decoder().description()));
}

TEST(CommonLayersOfInputs, AreReadAlikeHoweverASequenceGrows) {
  const at::Tensor ids = idsOf(1, kTokens);
  for (const int exact : {0, 4}) {
    CompressionPlan plan = half().plan;
    plan.exactTokens = exact;
    const PlanTransform transform = transformOf(plan);
    const at::Tensor expected = valueOf(decoder().forward(ids, &transform, {}, true, {})).logits[0];
    EXPECT_GT(largestDifference(valueOf(decoder().forward(ids, nullptr, {}, true, {})).logits[0], expected), 0.05);
    for (const bool isStored : {false, true}) {
      DecoderCache cache;
      if (isStored) cache.store = transform.makeStore(decoder());
      for (std::int64_t place = 5; place < kTokens; ++place) {
        const at::Tensor next = place == 5 ? ids.narrow(1, 0, 6) : ids.narrow(1, place, 1);
        const at::Tensor logits = valueOf(decoder().nextToken(next, cache, &transform, {}));
        EXPECT_LT(largestDifference(logits, expected[place]), 1e-3) << exact << isStored << place;
      }
      if (isStored) {
        EXPECT_EQ(cache.store->bytes(),
                  (kTokens - exact) * bytesPerToken(plan) + exact * decoder().shape().cacheBytesPerToken());
      }
    }
    LiveCache live;
    for (const auto& [begin, count] : {std::pair<std::int64_t, std::int64_t>{0, 3}, {3, 9}}) {
      const at::Tensor hidden = valueOf(decoder().extend(ids.narrow(1, begin, count), live, &transform, {}));
      EXPECT_LT(largestDifference(valueOf(decoder().logitsBehind(hidden))[0], expected.narrow(0, begin, count)), 1e-3)
          << exact;
    }
  }
}

TEST(CommonLayersOfInputs, LosesWhatIsForeseen) {
  StatisticsOptions options;
  options.gradients = true;
  const Statistics statistics =
      valueOf(runStatisticsPass(decoder(), "0123456789abcdef", {idsOf(4, 24), "0123456789abcdef", 96}, options, {}));
  const PlanTransform transform = transformOf(half().plan);
  const PlanErrors foreseen = valueOf(errorsAtMoments(decoder(), statistics, half().plan, {}));
  const MeasuredErrors measured = valueOf(measureErrors(decoder(), statistics, transform, {}));
  double loss = 0;
  for (std::size_t i = 0; i < foreseen.keys.values.size(); ++i) {
    EXPECT_GT(foreseen.keys.values[i], 0.01);
    EXPECT_NEAR(foreseen.keys.values[i], measured.keys.values[i], 1e-4);
    EXPECT_NEAR(foreseen.values.values[i], measured.values.values[i], 1e-4);
    loss += foreseen.keyLoss.values[i] + foreseen.valueLoss.values[i];
  }
  const auto predicted = valueOf(predictLoss(decoder(), statistics, half().plan, half().factors, {}));
  ASSERT_TRUE(predicted);
  EXPECT_NEAR(*predicted, loss, 1e-5 * loss);
}

TEST(CommonLayersOfInputs, AreMergedByThePolicy) {
  const at::Tensor ids = idsOf(1, kTokens);
  const PlanTransform transform = transformOf(half().plan);
  PolicyRun run = valueOf(
      PolicyRun::begin(decoder(), &transform,
                       {.policy = "commonkv", .options = {{"merged", "1"}, {"sinks", "0"}, {"window", "4"}}}, kTokens));
  LiveCache cache = run.makeCache();
  valueOf(run.read(ids, cache, {}));
  const LiveCache before = cache;
  const auto acted = run.act(cache, ids, {});
  ASSERT_TRUE(acted) << acted.error().message;
  EXPECT_EQ(run.bytes(cache)[0].item<std::int64_t>(),
            kTokens * bytesPerToken(half().plan) - 8 * 3 * 2 * kRank);  // 8 tokens once for 4 layers

  at::Tensor mean = at::zeros({kTokens, kRank}, at::TensorOptions(at::kDouble));
  const auto visitor = [&](const LayerRecord& record) -> Result<void> {
    if (record.layer < 4)
      mean = mean + at::matmul(record.attentionInput[0].to(at::kDouble), sharedDown(record.layer).t()) / 4;
    return {};
  };
  valueOf(decoder().forward(ids, &transform, visitor, false, {}));
  for (int layer = 0; layer < 5; ++layer) {
    const LiveLayer &held = cache.layers[static_cast<std::size_t>(layer)],
                    &was = before.layers[static_cast<std::size_t>(layer)];
    EXPECT_TRUE(held.keys.narrow(2, layer < 4 ? 8 : 0, 4).equal(was.keys.narrow(2, layer < 4 ? 8 : 0, 4)));
    if (layer == 4) continue;
    const at::Tensor outputs =
        at::matmul(mean, at::matmul(projections(decoder(), layer), sharedDown(layer).t()).t()).to(at::kFloat);
    const at::Tensor keys =
        decoder().rotateKeys(layer, outputs.narrow(1, 0, 16), at::arange(kTokens), kTokens).transpose(0, 1);
    const at::Tensor values = outputs.narrow(1, 16, 16).unflatten(1, {2, 8}).transpose(0, 1);
    EXPECT_LT(largestDifference(held.keys[0].narrow(1, 0, 8), keys.narrow(1, 0, 8)), 1e-3) << layer;
    EXPECT_LT(largestDifference(held.values[0].narrow(1, 0, 8), values.narrow(1, 0, 8)), 1e-3) << layer;
  }
}

TEST(CommonLayersOfInputs, AreHeldAsCodes) {
  const at::Tensor ids = idsOf(1, kTokens);
  const PlanTransform transform = transformOf(half().plan);
  PolicyRun run =
      valueOf(PolicyRun::begin(decoder(), &transform, {.policy = "hadamard", .options = {{"bits", "8"}}}, kTokens));
  LiveCache cache = run.makeCache();
  valueOf(run.read(ids, cache, {}));
  const LiveCache before = cache;
  ASSERT_TRUE(run.act(cache, ids, {}));
  for (std::size_t layer = 0; layer < 5; ++layer) {
    const double largest = before.layers[layer].values.abs().max().item<double>();
    EXPECT_LT(largestDifference(cache.layers[layer].values, before.layers[layer].values), 0.05 * largest) << layer;
    EXPECT_FALSE(cache.layers[layer].values.equal(before.layers[layer].values)) << layer;
  }
}

}  // namespace
}  // namespace kvista::test
