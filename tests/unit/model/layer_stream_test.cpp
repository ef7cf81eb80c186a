// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/layer_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>

#include "core/model/decoder.h"
#include "test_models.h"

namespace kvista::test {
namespace {

using ::testing::HasSubstr;

constexpr int kLayers = 5;
/// Steps of another size add in another order; numbers are of order 1 and have gone through five layers.
constexpr double kRounding = 1e-5;

nlohmann::json deepConfig() {
  nlohmann::json config = tinyConfig();
  config["num_hidden_layers"] = kLayers;
  config["model_type"] = "qwen2";  // with biases, which are not streamed
  return config;
}

ComputeOptions streaming(std::int64_t tokensPerStep = 0) {
  ComputeOptions options;
  options.streamLayers = true;
  options.tokensPerStep = tokensPerStep;
  return options;
}

/// What a visitor saw of each layer, all windows together.
struct Seen {
  std::map<int, std::vector<LayerRecord>> layers;
  std::vector<int> order;
  LayerVisitor visitor() {
    return [this](const LayerRecord& record) -> Result<void> {
      if (order.empty() || order.back() != record.layer) order.push_back(record.layer);
      LayerRecord kept = record;
      for (at::Tensor* tensor :
           {&kept.attentionInput, &kept.keys, &kept.gradientKeys, &kept.gradientValues, &kept.gradientRotatedKeys})
        if (tensor->defined()) *tensor = tensor->clone();
      layers[record.layer].push_back(kept);
      return {};
    };
  }
};

/// Compares a pass in steps of one window with the pass of all of them at once.
void expectSame(const Seen& stepwise, const Seen& whole) {
  EXPECT_EQ(stepwise.order, whole.order);
  for (const auto& [layer, records] : stepwise.layers) {
    const LayerRecord& all = whole.layers.at(layer).front();
    ASSERT_EQ(static_cast<std::int64_t>(records.size()), all.keys.size(0));
    for (std::size_t i = 0; i < records.size(); ++i) {
      const auto window = static_cast<std::int64_t>(i);
      EXPECT_EQ(records[i].firstWindow, window);
      EXPECT_LE(maximumDifference(records[i].attentionInput[0], all.attentionInput[window]), kRounding);
      EXPECT_LE(maximumDifference(records[i].keys[0], all.keys[window]), kRounding);
      if (!all.gradientKeys.defined()) continue;
      EXPECT_LE(maximumDifference(records[i].gradientKeys[0], all.gradientKeys[window]), kRounding);
      EXPECT_LE(maximumDifference(records[i].gradientValues[0], all.gradientValues[window]), kRounding);
      EXPECT_LE(maximumDifference(records[i].gradientRotatedKeys[0], all.gradientRotatedKeys[window]), kRounding);
    }
  }
}

TEST(LayerStream, HoldsTwoLayersHoweverManyThereAre) {
  const Checkpoint checkpoint = randomCheckpoint(deepConfig());
  const DecoderDescription description = valueOf(describe(checkpoint));
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const DecoderWeights all = valueOf(loadWeights(checkpoint, description, at::kCPU, dtype, false, {}));
    const DecoderWeights rest = valueOf(loadWeights(checkpoint, description, at::kCPU, dtype, true, {}));
    std::int64_t layerBytes = 0;
    LayerWeights first = all.layers.front();
    for (const LinearWeights* matrix : matricesOf(description.layers.front(), first))
      layerBytes += static_cast<std::int64_t>(matrix->weight.nbytes());
    const std::vector<int> order = {0, 1, 2, 3, 4, 3, 2, 1, 0};
    LayerStream stream(description, rest, at::kCPU, dtype, order);
    for (const int layer : order) {
      LayerWeights streamed = valueOf(stream.next());
      LayerWeights resident = all.layers[static_cast<std::size_t>(layer)];
      EXPECT_TRUE(streamed.feedForwardNorm.weight.equal(resident.feedForwardNorm.weight));
      const LayerDescription& described = description.layers[static_cast<std::size_t>(layer)];
      const auto given = matricesOf(described, streamed), wanted = matricesOf(described, resident);
      ASSERT_EQ(given.size(), 7U);
      for (std::size_t i = 0; i < given.size(); ++i) {
        EXPECT_TRUE(given[i]->weight.equal(wanted[i]->weight));
        EXPECT_EQ(given[i]->weight.scalar_type(), dtype);
        EXPECT_EQ(given[i]->bias.defined(), wanted[i]->bias.defined());
      }
    }
    EXPECT_GE(stream.bufferBytes(), 2 * layerBytes);
    EXPECT_LE(stream.bufferBytes(), 2 * (layerBytes + 7 * 64)) << "but for alignment";
    EXPECT_LT(deviceBytes(description, dtype, true), deviceBytes(description, dtype, false) - 2 * layerBytes);
  }
}

TEST(LayerStream, BringsAllLayersOnce) {
  const Checkpoint checkpoint = randomCheckpoint(deepConfig());
  const DecoderDescription description = valueOf(describe(checkpoint));
  const DecoderWeights all = valueOf(loadWeights(checkpoint, description, at::kCPU, at::kBFloat16, false, {}));
  DecoderWeights loaded = valueOf(loadWeights(checkpoint, description, at::kCPU, at::kBFloat16, true, {}));
  ASSERT_TRUE(loadLayers(description, loaded, at::kCPU, at::kBFloat16, {}));
  for (std::size_t layer = 0; layer < all.layers.size(); ++layer) {
    LayerWeights wanted = all.layers[layer];
    const LayerDescription& described = description.layers[layer];
    const auto given = matricesOf(described, loaded.layers[layer]), expected = matricesOf(described, wanted);
    for (std::size_t i = 0; i < given.size(); ++i)
      EXPECT_TRUE(given[i]->weight.equal(expected[i]->weight)) << layer << " " << i;
    EXPECT_TRUE(loaded.layers[layer].feedForwardNorm.weight.equal(wanted.feedForwardNorm.weight));
  }
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(loadLayers(description, loaded, at::kCPU, at::kBFloat16, {stop.get_token(), {}}).error().code,
            ErrorCode::cancelled);
}

TEST(LayerStream, PassesGiveTheNumbersOfResidentLayers) {
  const Checkpoint checkpoint = randomCheckpoint(deepConfig());
  const auto resident = load(checkpoint);
  const auto streamed = load(checkpoint, streaming(9));  // a window a step
  const at::Tensor ids = someIds(3, 9, 29);
  Seen whole, stepwise;
  const ForwardResult expected = valueOf(resident->forward(ids, nullptr, whole.visitor(), true, {}));
  const ForwardResult found = valueOf(streamed->forward(ids, nullptr, stepwise.visitor(), true, {}));
  EXPECT_LE(maximumDifference(found.hiddenLast, expected.hiddenLast), kRounding);
  EXPECT_LE(maximumDifference(found.logits, expected.logits), kRounding);
  expectSame(stepwise, whole);
  EXPECT_LE(maximumDifference(valueOf(streamed->tokenLosses(ids, nullptr, {})),
                              valueOf(resident->tokenLosses(ids, nullptr, {}))),
            kRounding);
  // With the same steps the same operations are done on the same numbers.
  EXPECT_TRUE(
      valueOf(streamed->withTokensPerStep(27).forward(ids, nullptr, {}, true, {})).logits.equal(expected.logits));
}

TEST(LayerStream, GradientsAreThoseOfResidentLayers) {
  const Checkpoint checkpoint = randomCheckpoint(deepConfig());
  const auto resident = load(checkpoint);
  const auto streamed = load(checkpoint, streaming(9));
  const at::Tensor ids = someIds(3, 9, 29);
  Seen whole, stepwise;
  const double expected = valueOf(resident->forwardBackward(ids, whole.visitor(), {}));
  EXPECT_NEAR(valueOf(streamed->forwardBackward(ids, stepwise.visitor(), {})), expected, 1e-5 * expected);
  EXPECT_THAT(stepwise.order, ::testing::ElementsAre(4, 3, 2, 1, 0));
  expectSame(stepwise, whole);
  Seen together;  // With the same steps the same operations are done on the same numbers.
  EXPECT_EQ(valueOf(streamed->withTokensPerStep(27).forwardBackward(ids, together.visitor(), {})), expected);
  for (int layer = 0; layer < kLayers; ++layer)
    EXPECT_TRUE(together.layers[layer].front().gradientKeys.equal(whole.layers[layer].front().gradientKeys));
}

TEST(LayerStream, SingleLayersAndSequencesAreThoseOfResidentLayers) {
  const Checkpoint checkpoint = randomCheckpoint(deepConfig());
  const auto resident = load(checkpoint);
  const auto streamed = load(checkpoint, streaming());
  for (int layer = 0; layer < kLayers; ++layer) {
    EXPECT_TRUE(streamed->keyWeight(layer).equal(resident->keyWeight(layer)));
    EXPECT_TRUE(streamed->valueWeight(layer).equal(resident->valueWeight(layer)));
    EXPECT_TRUE(streamed->keyBias(layer).equal(resident->keyBias(layer)));
  }
  const at::Tensor ids = someIds(1, 6, 29);
  const at::Tensor hidden = valueOf(resident->embed(ids));
  EXPECT_TRUE(valueOf(streamed->embed(ids)).equal(hidden));
  EXPECT_TRUE(valueOf(streamed->attentionInputOf(2, hidden)).equal(valueOf(resident->attentionInputOf(2, hidden))));
  EXPECT_TRUE(valueOf(streamed->advance(2, hidden, nullptr)).equal(valueOf(resident->advance(2, hidden, nullptr))));
  DecoderCache a, b;
  for (const std::int64_t begin : {0, 4, 5}) {
    const at::Tensor next = ids.narrow(1, begin, begin == 0 ? 4 : 1);
    EXPECT_LE(maximumDifference(valueOf(streamed->nextToken(next, a, nullptr, {})),
                                valueOf(resident->nextToken(next, b, nullptr, {}))),
              kRounding);
  }
  EXPECT_THAT(streamed->divergence(ids, CacheTransform(), {}).error().message, HasSubstr("read one after the other"));
}

TEST(LayerStream, DamagedWeightsAreNamedWhenTheyAreReached) {
  const Checkpoint checkpoint = randomCheckpoint(deepConfig());
  at::Tensor weight = load(checkpoint)->keyWeight(3).clone();
  weight[2][7] = std::numeric_limits<float>::quiet_NaN();
  storeOf(checkpoint).set("model.layers.3.self_attn.k_proj.weight", weight);
  const auto damaged = load(checkpoint, streaming());
  int reached = -1;
  const auto result = damaged->forward(someIds(1, 4, 29), nullptr,
                                       [&](const LayerRecord& record) -> Result<void> {
                                         reached = record.layer;
                                         return {};
                                       },
                                       false, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::numerical);
  EXPECT_THAT(result.error().message, HasSubstr("model.layers.3.self_attn.k_proj.weight holds nan at [2, 7]"));
  EXPECT_EQ(reached, 2);
}

TEST(LayerStream, EndsWhenItsPassIsCancelled) {
  const auto streamed = load(randomCheckpoint(deepConfig()), streaming());
  std::stop_source stop;
  const Task task{stop.get_token(), {}};
  const auto result = streamed->forwardBackward(
      someIds(2, 8, 29),
      [&](const LayerRecord&) -> Result<void> {
        stop.request_stop();
        return {};
      },
      task);
  EXPECT_EQ(result.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace kvista::test
