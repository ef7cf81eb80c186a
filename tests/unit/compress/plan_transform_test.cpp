// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/plan_transform.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include "core/compress/basis.h"
#include "core/compress/planner.h"
#include "core/plan/plan_groups.h"
#include "tests/unit/compress/plan_request.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

/// A plan of a method at a share of the cache, with its factors, ready to run on the short model.
struct Planned {
  CompressionPlan plan;
  PlanFactors factors;

  Planned(const std::string& method, double share) {
    const MadePlan& made = madePlan(method, share);
    plan = made.planned.plan;
    factors = made.factors;
  }
  [[nodiscard]] PlanTransform transform() const { return {plan, factors, shortDecoder().shape(), at::kCPU}; }
};

at::Tensor logits(const Decoder& decoder, const CacheTransform* transform = nullptr) {
  return valueOf(decoder.forward(demoWindows(2, 0, kEvaluationText).ids, transform, {}, true, {})).logits;
}

/// Raw keys and values of 2 windows of 10 tokens, and rotated keys.
KeyValues someOutputs() { return {gaussian({2, 10, 256}, 1).to(at::kFloat), gaussian({2, 10, 256}, 2).to(at::kFloat)}; }
at::Tensor someRotated() { return gaussian({2, 8, 10, 32}, 3).to(at::kFloat); }

/// Every head alone, all of it kept, stored as a method does.
CompressionPlan uncompressed(Storage storage) {
  CompressionPlan plan;
  plan.method = "coded";
  plan.storage = storage;
  plan.groups = singleSlots(shortDecoder().shape());
  return plan;
}

TEST(PlanTransform, SixteenBitsEverywhereChangeNothing) {
  for (const Storage storage : {Storage::lowRank16, Storage::coded, Storage::plainQuantised}) {
    const CompressionPlan plan = uncompressed(storage);
    const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan, {}));
    const PlanTransform transform(plan, factors, shortDecoder().shape(), at::kCPU);
    EXPECT_TRUE(at::equal(logits(shortDecoder(), &transform), logits(shortDecoder())));
  }
}

TEST(PlanTransform, FactorsOfFullRankChangeNothing) {
  for (const char* method : {"coded-joint", "joint", "coded-head"}) {
    Planned planned(method, 0.5);
    const Method& preset = *valueOf(findMethod(method));
    for (std::size_t i = 0; i < planned.plan.groups.size(); ++i) {
      const Group& group = planned.plan.groups[i];
      const auto moments = valueOf(LayerMoments::of(shortDecoder(), &shortStatistics(), group.slots.front().layer,
                                                    basisRequestOf(planned.plan, preset)));
      const GroupBasis basis = valueOf(moments.decompose(group.slots));
      GroupFactors& factors = planned.factors[i];
      factors.up = basis.up.to(at::kFloat);
      factors.down = basis.down.to(at::kFloat);
      factors.widths.assign(group.widths.size(), 16);
      factors.steps = at::Tensor(basis.up[0] * 0).to(at::kFloat);
    }
    const PlanTransform transform = planned.transform();
    EXPECT_LE(largestDifference(logits(shortDecoder(), &transform), logits(shortDecoder())), 1e-3) << method;
    EXPECT_LE(relativeDifference(logits(shortDecoder(), &transform), logits(shortDecoder())), 1e-4) << method;
  }
}

TEST(PlanTransform, TheFirstTokensStayExactAndTheOthersChange) {
  const Planned planned("coded-joint", 0.125);
  ASSERT_EQ(planned.plan.exactTokens, 4);
  const PlanTransform transform = planned.transform();
  const KeyValues raw = someOutputs();
  const KeyValues changed = transform.beforeRope(1, raw);
  for (const auto& [before, after] : {std::pair{raw.keys, changed.keys}, {raw.values, changed.values}}) {
    ASSERT_EQ(after.sizes(), before.sizes());
    EXPECT_TRUE(at::equal(after.narrow(1, 0, 4), before.narrow(1, 0, 4)));
    for (std::int64_t token = 4; token < 10; ++token)
      EXPECT_GT(relativeDifference(after.select(1, token), before.select(1, token)), 0.01) << token;
  }
  const at::Tensor rotated = someRotated();
  EXPECT_TRUE(at::equal(transform.afterRope(1, rotated), rotated));
  const KeyValues few = transform.beforeRope(1, {raw.keys.narrow(1, 0, 3), raw.values.narrow(1, 0, 3)});
  EXPECT_TRUE(at::equal(few.keys, raw.keys.narrow(1, 0, 3)));
}

TEST(PlanTransform, KeysAfterRopeAreChangedThereAlone) {
  const Planned planned("coded-head", 0.125);
  const PlanTransform transform = planned.transform();
  const KeyValues raw = someOutputs();
  const KeyValues changed = transform.beforeRope(0, raw);
  EXPECT_TRUE(at::equal(changed.keys, raw.keys));
  EXPECT_GT(relativeDifference(changed.values.narrow(1, 4, 6), raw.values.narrow(1, 4, 6)), 0.01);
  const at::Tensor rotated = someRotated();
  const at::Tensor after = transform.afterRope(0, rotated);
  EXPECT_TRUE(at::equal(after.narrow(2, 0, 4), rotated.narrow(2, 0, 4)));
  // Every head goes through its own factors.
  for (std::size_t i = 0; i < planned.plan.groups.size(); ++i) {
    const Slot& slot = planned.plan.groups[i].slots.front();
    if (slot.layer != 0 || slot.side != Side::key) continue;
    const GroupFactors& factors = planned.factors[i];
    const at::Tensor latent = codeAndDecode(at::matmul(rotated.select(1, slot.head), factors.down.t()), factors);
    const at::Tensor expected = at::matmul(latent, factors.up.t());
    EXPECT_LE(largestDifference(after.select(1, slot.head).narrow(1, 4, 6), expected.narrow(1, 4, 6)), 1e-4)
        << slot.head;
  }
}

/// Puts up * down * W in the place of the projections, as a dense export would.
class ReplacedWeights : public TensorStore {
 public:
  explicit ReplacedWeights(std::shared_ptr<const TensorStore> original) : original_(std::move(original)) {}
  void replace(const std::string& name, const at::Tensor& weight) { weights_[name] = weight.contiguous(); }
  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override {
    return original_->tensors();
  }
  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override {
    return weights_.contains(tensor.name) ? std::span<const std::byte>() : original_->raw(tensor);
  }
  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override {
    const auto found = weights_.find(tensor.name);
    if (found == weights_.end()) return original_->readFloat32(tensor, out);
    std::copy_n(found->second.const_data_ptr<float>(), out.size(), out.begin());
    return {};
  }

 private:
  std::shared_ptr<const TensorStore> original_;
  std::map<std::string, at::Tensor> weights_;
};

TEST(PlanTransform, LowRankIsTheSameAsReplacedWeights) {
  for (const char* method : {"joint", "grouped", "recalkv"}) {
    const Planned planned(method, 0.4);
    const auto store = std::make_shared<ReplacedWeights>(demoCheckpoint().tensors);
    for (int layer = 0; layer < 2; ++layer) {
      const at::Tensor weight = at::cat({shortDecoder().keyWeight(layer), shortDecoder().valueWeight(layer)}).clone();
      for (std::size_t i = 0; i < planned.plan.groups.size(); ++i) {
        const Group& group = planned.plan.groups[i];
        if (group.slots.front().layer != layer || planned.factors[i].isIdentity()) continue;
        std::vector<at::Tensor> rows;
        for (const Slot& slot : group.slots)
          rows.push_back(weight.narrow(0, (slot.side == Side::key ? 0 : 256) + 32 * slot.head, 32));
        const GroupFactors& factors = planned.factors[i];
        const at::Tensor kept = at::matmul(factors.up, at::matmul(factors.down, at::cat(rows)));
        for (std::size_t s = 0; s < rows.size(); ++s)
          rows[s].copy_(kept.narrow(0, static_cast<std::int64_t>(32 * s), 32));
      }
      const std::string prefix = "model.layers." + std::to_string(layer) + ".self_attn.";
      store->replace(prefix + "k_proj.weight", weight.narrow(0, 0, 256));
      store->replace(prefix + "v_proj.weight", weight.narrow(0, 256, 256));
    }
    Checkpoint checkpoint = demoCheckpoint();
    checkpoint.config["num_hidden_layers"] = 2;
    checkpoint.tensors = store;
    const auto replaced = valueOf(Decoder::load(checkpoint, {}, {}));
    ASSERT_GT(relativeDifference(replaced->keyWeight(1), shortDecoder().keyWeight(1)), 0.01);
    const PlanTransform transform = planned.transform();
    const at::Tensor expected = logits(*replaced);
    EXPECT_LE(largestDifference(logits(shortDecoder(), &transform), expected), 1e-3) << method;
    EXPECT_GT(largestDifference(logits(shortDecoder()), expected), 1e-2) << method;
  }
}

/// One key head of 2 numbers and one value head of 3.
ModelShape tinyShape() { return {"made-up", 1, 1, 1, 2, 3, 4, 5, 0}; }

CompressionPlan plainPlan(std::uint8_t keyBits, std::uint8_t valueBits, int block) {
  CompressionPlan plan;
  plan.storage = Storage::plainQuantised;
  plan.scaleBlock = block;
  plan.groups = {{{{0, Side::key, 0}}, {keyBits, keyBits}, false},
                 {{{0, Side::value, 0}}, {valueBits, valueBits, valueBits}, false}};
  return plan;
}

TEST(PlainQuantisation, TwoBitsByHand) {
  const PlainQuantisation quantisation(plainPlan(2, 2, 4), tinyShape(), at::kCPU);
  // One window of 5 tokens: a full block of 4 keys, and one that belongs to none yet.
  const at::Tensor keys =
      at::tensor(std::vector<float>{0, -3, 1, 3, 2.6F, 0.9F, 6, -0.9F, 0.123F, 0.456F}).view({1, 5, 2});
  const at::Tensor values =
      at::tensor(std::vector<float>{0, 1, 3, -1.5F, 1.5F, 0.4F, 2, 2, 2, 0, 0.6F, 0.2F, 9, 6.4F, 0}).view({1, 5, 3});
  const KeyValues got = quantisation.quantise(0, {keys, values});
  // Channel 0: lowest 0, step 2; channel 1: lowest -3, step 2.
  const at::Tensor expectedKeys =
      at::tensor(std::vector<float>{0, -3, 0, 3, 2, 1, 6, -1, 0.123F, 0.456F}).view({1, 5, 2});
  // Tokens: steps 1, 1, none (all equal), .2, 3.
  const at::Tensor expectedValues =
      at::tensor(std::vector<float>{0, 1, 3, -1.5F, 1.5F, 0.5F, 2, 2, 2, 0, 0.6F, 0.2F, 9, 6, 0}).view({1, 5, 3});
  EXPECT_LE(largestDifference(got.keys, expectedKeys), 1e-6);
  EXPECT_LE(largestDifference(got.values, expectedValues), 1e-6);
  EXPECT_TRUE(at::equal(got.keys.narrow(1, 4, 1), keys.narrow(1, 4, 1)));
}

TEST(PlainQuantisation, EachBlockHasItsOwnScale) {
  const PlainQuantisation quantisation(plainPlan(8, 16, 2), tinyShape(), at::kCPU);
  const at::Tensor keys = at::tensor(std::vector<float>{0, 0, 1, 1, 1000, 2000, 3000, 4000, 5, 6}).view({1, 5, 2});
  const at::Tensor values = gaussian({1, 5, 3}, 1).to(at::kFloat);
  const KeyValues got = quantisation.quantise(0, {keys, values});
  EXPECT_LE(largestDifference(got.keys, keys), 1e-3);  // two numbers a block and channel: both ends of the range
  EXPECT_TRUE(at::equal(got.values, values));
}

TEST(PlainQuantisation, ErrorsStayWithinHalfAStepAndFallWithBits) {
  double before = 1e9;
  for (const int bits : {2, 3, 4, 8}) {
    const auto width = static_cast<std::uint8_t>(bits);
    const PlainQuantisation quantisation(plainPlan(width, width, 64), tinyShape(), at::kCPU);
    const at::Tensor keys = gaussian({2, 100, 2}, 2).to(at::kFloat);
    const at::Tensor values = gaussian({2, 100, 3}, 3).to(at::kFloat);
    const KeyValues got = quantisation.quantise(0, {keys, values});
    const at::Tensor step = (values.amax({2}, true) - values.amin({2}, true)) / (std::pow(2, bits) - 1);
    EXPECT_LE((got.values.sub(values).abs() / step).max().item<double>(), 0.5001);
    EXPECT_TRUE(at::equal(got.keys.narrow(1, 64, 36), keys.narrow(1, 64, 36)));
    const double error = relativeDifference(got.keys, keys);
    EXPECT_GT(error, 0);
    EXPECT_LT(error, before);
    before = error;
  }
}

}  // namespace
}  // namespace kvista::test
