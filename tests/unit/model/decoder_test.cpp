// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Properties of the decoder engine that hold for any weights.
#include "core/model/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/model/attention.h"
#include "core/model/rope.h"
#include "test_models.h"

namespace kvista::test {
namespace {

using testing::HasSubstr;

constexpr int kVocabulary = 29;

/// The layers' records of a pass, in the order they were seen.
LayerVisitor collect(std::vector<LayerRecord>& records) {
  return [&records](const LayerRecord& record) -> Result<void> {
    records.push_back(record);
    return {};
  };
}

TEST(Decoder, TokenLossesAreThoseOfTheLogits) {
  const auto decoder = load(randomCheckpoint(tinyConfig()));
  const at::Tensor ids = someIds(3, 300, kVocabulary);  // several blocks of rows
  const at::Tensor logits = valueOf(decoder->forward(ids, nullptr, {}, true, {})).logits;
  const at::Tensor expected =
      at::log_softmax(logits, -1).narrow(1, 0, 299).gather(2, ids.narrow(1, 1, 299).unsqueeze(-1)).squeeze(-1).neg();
  const at::Tensor losses = valueOf(decoder->tokenLosses(ids, nullptr, {}));
  EXPECT_EQ(losses.sizes(), expected.sizes());
  EXPECT_LE(maximumDifference(losses, expected), 1e-5);
  EXPECT_NEAR(valueOf(decoder->forwardBackward(ids, {}, {})), expected.sum().item<double>(), 1e-2);
}

TEST(Decoder, GradientsDoNotDependOnTheBudget) {
  const Checkpoint checkpoint = randomCheckpoint(tinyConfig());
  const at::Tensor ids = someIds(2, 20, kVocabulary);
  std::vector<LayerRecord> recomputed;
  std::vector<LayerRecord> kept;
  ASSERT_TRUE(load(checkpoint, {.activationBudgetBytes = 0})->forwardBackward(ids, collect(recomputed), {}));
  ASSERT_TRUE(load(checkpoint)->forwardBackward(ids, collect(kept), {}));
  ASSERT_EQ(kept.size(), 2U);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(kept[i].layer, recomputed[i].layer);
    EXPECT_EQ(maximumDifference(kept[i].gradientKeys, recomputed[i].gradientKeys), 0);
    EXPECT_EQ(maximumDifference(kept[i].gradientValues, recomputed[i].gradientValues), 0);
  }
}

/// Adds `step` to one raw key or value, or to one key after RoPE, of one layer.
class Nudge : public CacheTransform {
 public:
  enum class Place { key, value, rotatedKey };
  Nudge(Place place, int layer, double step) : place_(place), layer_(layer), step_(step) {}
  [[nodiscard]] KeyValues beforeRope(int layer, KeyValues raw) const override {
    if (layer != layer_ || place_ == Place::rotatedKey) return raw;
    at::Tensor& changed = place_ == Place::key ? raw.keys : raw.values;
    changed = changed.clone();
    changed[0][3][7] += step_;
    return raw;
  }
  [[nodiscard]] at::Tensor afterRope(int layer, at::Tensor keys) const override {
    if (layer != layer_ || place_ != Place::rotatedKey) return keys;
    at::Tensor changed = keys.clone();
    changed[0][1][3][1] += step_;
    return changed;
  }

 private:
  Place place_;
  int layer_;
  double step_;
};

class FiniteDifferences : public testing::TestWithParam<nlohmann::json> {};

TEST_P(FiniteDifferences, AgreeWithGradients) {
  const auto decoder = load(randomCheckpoint(GetParam()));
  const at::Tensor ids = someIds(1, 9, kVocabulary);
  std::vector<LayerRecord> records;
  ASSERT_TRUE(decoder->forwardBackward(ids, collect(records), {}));
  const auto slope = [&](Nudge::Place place, int layer) {
    constexpr double kStep = 1e-2;
    const auto loss = [&](double step) {
      const Nudge nudge(place, layer, step);
      return valueOf(decoder->tokenLosses(ids, &nudge, {})).sum(at::kDouble).item<double>();
    };
    return (loss(kStep) - loss(-kStep)) / (2 * kStep);
  };
  for (const LayerRecord& record : records) {
    const auto near = [](const at::Tensor& gradient) { return gradient.item<double>(); };
    EXPECT_NEAR(slope(Nudge::Place::key, record.layer), near(record.gradientKeys[0][3][7]), 2e-3);
    EXPECT_NEAR(slope(Nudge::Place::value, record.layer), near(record.gradientValues[0][3][7]), 2e-3);
    EXPECT_NEAR(slope(Nudge::Place::rotatedKey, record.layer), near(record.gradientRotatedKeys[0][1][3][1]), 2e-3);
  }
}

nlohmann::json changedConfig(const nlohmann::json& changes) {
  nlohmann::json config = tinyConfig();
  config.update(changes);
  return config;
}

INSTANTIATE_TEST_SUITE_P(Kinds, FiniteDifferences,
                         testing::Values(tinyConfig(), changedConfig({{"model_type", "qwen3"}}),
                                         changedConfig({{"model_type", "mistral"}, {"sliding_window", 4}}),
                                         changedConfig({{"hidden_act", "gelu"}}),
                                         changedConfig({{"hidden_act", "gelu_new"}}),
                                         changedConfig({{"hidden_act", "relu"}})));

TEST(Decoder, RotateKeysIsWhatAttentionSaw) {
  for (const char* family : {"llama", "qwen3"}) {
    const auto decoder = load(randomCheckpoint(changedConfig({{"model_type", family}})));
    std::vector<LayerRecord> records;
    ASSERT_TRUE(decoder->forward(someIds(2, 12, kVocabulary), nullptr, collect(records), false, {}));
    for (const LayerRecord& record : records) {
      const at::Tensor positions = at::arange(12, at::TensorOptions(at::kLong));
      const at::Tensor rotated = decoder->rotateKeys(record.layer, record.keys[1], positions, 12);
      EXPECT_EQ(maximumDifference(rotated.transpose(0, 1), record.rotatedKeys[1]), 0);
    }
  }
}

TEST(Decoder, IdentityTransformChangesNothing) {
  const auto decoder = load(randomCheckpoint(tinyConfig()));
  const at::Tensor ids = someIds(2, 17, kVocabulary);
  const CacheTransform identity;
  const auto plain = valueOf(decoder->forward(ids, nullptr, {}, true, {}));
  const auto transformed = valueOf(decoder->forward(ids, &identity, {}, true, {}));
  EXPECT_EQ(maximumDifference(plain.logits, transformed.logits), 0);
}

/// Projects raw keys onto the row space of `basis` [rank, width].
class KeyProjector : public CacheTransform {
 public:
  explicit KeyProjector(at::Tensor basis) : projector_(at::matmul(basis.t(), basis)) {}
  [[nodiscard]] KeyValues beforeRope(int, KeyValues raw) const override {
    return {at::matmul(raw.keys, projector_), raw.values};
  }
  [[nodiscard]] const at::Tensor& matrix() const { return projector_; }

 private:
  at::Tensor projector_;
};

TEST(Decoder, ProjectorHookEqualsProjectedWeights) {
  const Checkpoint checkpoint = randomCheckpoint(tinyConfig());
  const at::Tensor basis = at::eye(12).narrow(0, 2, 7).roll(1, 1);
  const KeyProjector projector(basis);
  const at::Tensor ids = someIds(2, 17, kVocabulary);
  const auto hooked = valueOf(load(checkpoint)->forward(ids, &projector, {}, true, {}));
  for (const int layer : {0, 1}) {
    const std::string name = fmt::format("model.layers.{}.self_attn.k_proj.weight", layer);
    storeOf(checkpoint).set(name, at::matmul(projector.matrix(), storeOf(checkpoint).at(name)));
  }
  const auto replaced = valueOf(load(checkpoint)->forward(ids, nullptr, {}, true, {}));
  EXPECT_LE(maximumDifference(hooked.logits, replaced.logits), 1e-4);
}

TEST(Decoder, KeyAndValueSlicesMakeTheRecords) {
  const auto decoder = load(randomCheckpoint(changedConfig({{"model_type", "qwen2"}})));
  std::vector<LayerRecord> records;
  ASSERT_TRUE(decoder->forward(someIds(1, 8, kVocabulary), nullptr, collect(records), false, {}));
  for (const LayerRecord& record : records) {
    const int layer = record.layer;
    const auto project = [&](const at::Tensor& weight, const at::Tensor& bias) {
      return at::matmul(record.attentionInput, weight.t()) + bias;
    };
    EXPECT_LE(maximumDifference(project(decoder->keyWeight(layer), decoder->keyBias(layer)), record.keys), 1e-5);
    EXPECT_LE(maximumDifference(project(decoder->valueWeight(layer), decoder->valueBias(layer)), record.values), 1e-5);
  }
  EXPECT_FALSE(load(randomCheckpoint(tinyConfig()))->keyBias(0).defined());
}

TEST(Decoder, Bfloat16IsNearFloat32) {
  const Checkpoint checkpoint = randomCheckpoint(tinyConfig(), 3, 0.15);
  const at::Tensor ids = someIds(2, 24, kVocabulary);
  const auto exact = load(checkpoint);
  const auto rounded = load(checkpoint, {.dtype = at::kBFloat16});
  EXPECT_LE(relativeDifference(valueOf(rounded->forward(ids, nullptr, {}, true, {})).logits,
                               valueOf(exact->forward(ids, nullptr, {}, true, {})).logits),
            0.03);
  std::vector<LayerRecord> roundedRecords;
  std::vector<LayerRecord> exactRecords;
  ASSERT_TRUE(rounded->forwardBackward(ids, collect(roundedRecords), {}));
  ASSERT_TRUE(exact->forwardBackward(ids, collect(exactRecords), {}));
  EXPECT_LE(relativeDifference(roundedRecords[1].gradientValues, exactRecords[1].gradientValues), 0.06);
}

TEST(Decoder, SlidingWindowHidesOldTokens) {
  const auto decoder = load(
      randomCheckpoint(changedConfig({{"model_type", "mistral"}, {"sliding_window", 3}, {"num_hidden_layers", 1}})));
  at::Tensor ids = someIds(1, 10, kVocabulary);
  const auto before = valueOf(decoder->forward(ids, nullptr, {}, true, {})).logits;
  ids[0][4] = (ids[0][4] + 1) % kVocabulary;
  const auto after = valueOf(decoder->forward(ids, nullptr, {}, true, {})).logits;
  for (int token = 0; token < 10; ++token) {
    const bool changed = maximumDifference(before[0][token], after[0][token]) > 0;
    EXPECT_EQ(changed, token >= 4 && token < 7) << token;
  }
}

/// Attention by its definition, with the whole matrix of scores.
at::Tensor plainAttention(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& keys,
                          const at::Tensor& values) {
  const std::int64_t repeats = queries.size(1) / keys.size(1);
  const std::int64_t tokens = queries.size(2);
  const at::Tensor positions = at::arange(tokens);
  const at::Tensor distance = positions.unsqueeze(1) - positions.unsqueeze(0);
  const at::Tensor hidden = distance.lt(0).logical_or(distance.ge(attention.slidingWindow.value_or(tokens)));
  at::Tensor scores = at::matmul(queries, keys.repeat_interleave(repeats, 1).transpose(2, 3)) * attention.scale;
  if (attention.scoreCap > 0) scores = (scores / attention.scoreCap).tanh() * attention.scoreCap;
  if (attention.linearBiases) {
    const double factor = attention.linearBiases->isBeforeScale ? attention.scale : 1;
    const at::Tensor slopes = at::tensor(attention.linearBiases->slopes).to(at::kFloat).view({-1, 1, 1});
    // The softmax does not see what all keys of a query have in common.
    scores = scores - slopes * distance.to(at::kFloat) * factor;
  }
  const at::Tensor weights = scores.masked_fill(hidden, -INFINITY).softmax(-1);
  return at::matmul(weights, values.repeat_interleave(repeats, 1)).transpose(1, 2).flatten(2);
}

TEST(Attention, GroupsWindowsCapsAndLinearBiasesFollowTheDefinition) {
  constexpr std::int64_t kTokens = 600;  // more than two blocks of queries
  const at::Tensor queries = at::arange(2 * 4 * kTokens * 8).to(at::kFloat).mul(0.37).sin().view({2, 4, kTokens, 8});
  const at::Tensor keys = at::arange(2 * 2 * kTokens * 8).to(at::kFloat).mul(0.73).cos().view({2, 2, kTokens, 8});
  const at::Tensor values = at::arange(2 * 2 * kTokens * 8).to(at::kFloat).mul(0.11).sin().view({2, 2, kTokens, 8});
  const LinearBiases after{.slopes = {0.5, 0.25, 0.125, 0.0625}};
  LinearBiases before = after;
  before.isBeforeScale = true;
  for (const double cap : {0.0, 0.7})
    for (const std::optional<LinearBiases>& biases :
         {std::optional<LinearBiases>(), std::optional(after), std::optional(before)})
      for (const std::int64_t window : {0, 1, 257, 599, 600, 9000}) {
        AttentionDescription attention{.scale = 0.5, .scoreCap = cap, .linearBiases = biases};
        if (window > 0) attention.slidingWindow = window;
        const at::Tensor expected = plainAttention(attention, queries, keys, values);
        EXPECT_LE(maximumDifference(causalAttention(attention, queries, keys, values, {}), expected), 1e-5)
            << window << " " << cap;
        const at::Tensor weights = attentionWeights(attention, queries, keys, at::arange(kTokens));
        const at::Tensor weighted = at::matmul(weights, values.repeat_interleave(2, 1)).transpose(1, 2).flatten(2);
        EXPECT_LE(maximumDifference(weighted, expected), 1e-5) << window << " " << cap;
        const at::Tensor last = attentionOfLast(attention, queries.narrow(2, kTokens - 1, 1), keys, values, {});
        EXPECT_LE(maximumDifference(last, expected.narrow(1, kTokens - 1, 1)), 1e-5) << window << " " << cap;
      }
}

TEST(Attention, SinksTakeTheirShareOfTheSoftmax) {
  constexpr std::int64_t kTokens = 300;
  const at::Tensor queries = at::arange(4 * kTokens * 8).to(at::kFloat).mul(0.37).sin().view({1, 4, kTokens, 8});
  const at::Tensor keys = at::arange(2 * kTokens * 8).to(at::kFloat).mul(0.73).cos().view({1, 2, kTokens, 8});
  const at::Tensor values = at::arange(2 * kTokens * 8).to(at::kFloat).mul(0.11).sin().view({1, 2, kTokens, 8});
  const at::Tensor sinks = at::tensor(std::vector<float>{-2, 0, 1, 3});
  for (const double cap : {0.0, 0.7})
    for (const std::int64_t window : {0, 7}) {
      AttentionDescription attention{.scale = 0.5, .scoreCap = cap};
      if (window > 0) attention.slidingWindow = window;
      // With s the sum of a query's exp(score), its weights lose exp(sink) / (s + exp(sink)).
      const at::Tensor positions = at::arange(kTokens);
      const at::Tensor distance = positions.unsqueeze(1) - positions.unsqueeze(0);
      at::Tensor scores = at::matmul(queries, keys.repeat_interleave(2, 1).transpose(2, 3)) * 0.5;
      if (cap > 0) scores = (scores / cap).tanh() * cap;
      const at::Tensor sums =
          scores.exp().masked_fill(distance.lt(0).logical_or(distance.ge(window > 0 ? window : kTokens)), 0).sum(-1);
      const at::Tensor kept = sums / (sums + sinks.exp().view({1, 4, 1}));
      const at::Tensor expected =
          plainAttention(attention, queries, keys, values) * kept.transpose(1, 2).repeat_interleave(8, -1);
      EXPECT_LE(maximumDifference(causalAttention(attention, queries, keys, values, sinks), expected), 1e-5)
          << window << " " << cap;
      const at::Tensor last = attentionOfLast(attention, queries.narrow(2, kTokens - 1, 1), keys, values, sinks);
      EXPECT_LE(maximumDifference(last, expected.narrow(1, kTokens - 1, 1)), 1e-5) << window << " " << cap;
    }
}

TEST(Decoder, StopsBetweenLayers) {
  const auto decoder = load(randomCheckpoint(tinyConfig()));
  std::stop_source source;
  const Task task{source.get_token(), {}};
  const auto stopAfterFirst = [&](const LayerRecord&) -> Result<void> {
    source.request_stop();
    return {};
  };
  const at::Tensor ids = someIds(1, 8, kVocabulary);
  const auto forward = decoder->forward(ids, nullptr, stopAfterFirst, true, task);
  ASSERT_FALSE(forward);
  EXPECT_EQ(forward.error().code, ErrorCode::cancelled);
  EXPECT_EQ(decoder->tokenLosses(ids, nullptr, task).error().code, ErrorCode::cancelled);
  EXPECT_EQ(decoder->forwardBackward(ids, {}, task).error().code, ErrorCode::cancelled);
}

TEST(Decoder, PassesOnWhatAVisitorRefuses) {
  const auto decoder = load(randomCheckpoint(tinyConfig()));
  const auto refuse = [](const LayerRecord&) -> Result<void> { return fail(ErrorCode::io, "The disk is full."); };
  const at::Tensor ids = someIds(1, 8, kVocabulary);
  EXPECT_EQ(decoder->forward(ids, nullptr, refuse, false, {}).error().message, "The disk is full.");
  EXPECT_EQ(decoder->forwardBackward(ids, refuse, {}).error().message, "The disk is full.");
}

TEST(Decoder, RefusesIdsItCannotTake) {
  const auto decoder = load(randomCheckpoint(tinyConfig()));
  at::Tensor ids = someIds(1, 8, kVocabulary);
  ids[0][2] = kVocabulary;
  EXPECT_THAT(decoder->forward(ids, nullptr, {}, true, {}).error().message,
              HasSubstr("Token id 29 is outside the model's vocabulary of 29"));
  ids[0][2] = -1;
  EXPECT_THAT(decoder->forward(ids, nullptr, {}, true, {}).error().message, HasSubstr("Token id -1"));
  EXPECT_FALSE(decoder->forward(ids[0], nullptr, {}, true, {}));
  EXPECT_FALSE(decoder->forward(ids.to(at::kInt), nullptr, {}, true, {}));
  EXPECT_FALSE(decoder->tokenLosses(ids.narrow(1, 0, 1), nullptr, {}));
  EXPECT_EQ(Decoder::load(randomCheckpoint(tinyConfig()), {.dtype = at::kHalf}, {}).error().code,
            ErrorCode::invalidArgument);
}

TEST(Decoder, DynamicRopeDependsOnTheWholeLength) {
  const auto decoder = load(randomCheckpoint(
      changedConfig({{"max_position_embeddings", 8}, {"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 4}}}})));
  const at::Tensor ids = someIds(1, 16, kVocabulary);
  const auto whole = valueOf(decoder->forward(ids, nullptr, {}, true, {})).logits;
  const auto half = valueOf(decoder->forward(ids.narrow(1, 0, 8), nullptr, {}, true, {})).logits;
  EXPECT_GT(maximumDifference(whole.narrow(1, 0, 8), half), 1e-3);
}

}  // namespace
}  // namespace kvista::test
