// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Reading on behind a live cache: with nothing taken out it is a pass over all tokens, and what is taken out is not
// seen.
#include "core/model/live_cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "core/model/decoder.h"
#include "test_models.h"

namespace kvista::test {
namespace {

/// The head's input of `ids`, read in parts of `part` tokens.
at::Tensor readInParts(const Decoder& decoder, const at::Tensor& ids, std::int64_t part,
                       const CacheTransform* transform, LiveCache& cache) {
  cache.sequenceLength = ids.size(1);
  std::vector<at::Tensor> hidden;
  for (std::int64_t done = 0; done < ids.size(1); done += part)
    hidden.push_back(
        valueOf(decoder.extend(ids.narrow(1, done, std::min(part, ids.size(1) - done)), cache, transform, {})));
  return at::cat(hidden, 1);
}

class LiveFamily : public testing::TestWithParam<const char*> {};

TEST_P(LiveFamily, IsAPassOverAllTokensInPartsOfAnySize) {
  const auto folder = std::filesystem::path(KVISTA_SHARED_DIR) / "fixtures" / "families" / GetParam();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "the shared fixtures are not there: no folder " << folder;
  const auto decoder = load(valueOf(openCheckpoint(folder)));
  const at::Tensor ids = readTensors(folder / "reference.safetensors").at("input_ids");
  const at::Tensor whole = valueOf(decoder->forward(ids, nullptr, {}, false, {})).hiddenLast;
  for (const std::int64_t part : {1, 7, 64}) {
    LiveCache cache;
    EXPECT_LE(maximumDifference(readInParts(*decoder, ids, part, nullptr, cache), whole), 1e-4) << "parts of " << part;
    EXPECT_EQ(cache.tokens, ids.size(1));
    EXPECT_EQ(cache.layers[0].positions.sizes(),
              (std::vector<std::int64_t>{ids.size(0), decoder->shape().kvHeads, ids.size(1)}));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, LiveFamily,
                         testing::Values("bloom", "deepseek_v2", "falcon", "gemma2", "gpt2", "gptj", "llama",
                                         "llama-dynamic-ntk", "llama-gqa", "mistral", "mixtral", "opt", "phi3-longrope",
                                         "qwen3"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

/// Tokenwise, but for the first three tokens of a sequence.
class Halving : public CacheTransform {
 public:
  KeyValues beforeRope(int, KeyValues raw) const override { return {changed(raw.keys, 1), changed(raw.values, 1)}; }
  at::Tensor afterRope(int, at::Tensor keys) const override { return changed(keys, 2); }
  [[nodiscard]] bool isTokenwise() const override { return true; }
  [[nodiscard]] std::int64_t leadingTokens() const override { return 3; }

 private:
  static at::Tensor changed(const at::Tensor& x, std::int64_t dimension) {
    const std::int64_t first = std::min<std::int64_t>(3, x.size(dimension));
    return at::cat({x.narrow(dimension, 0, first), x.narrow(dimension, first, x.size(dimension) - first) * 0.5},
                   dimension);
  }
};

TEST(LiveCache, PassesTokensThroughATransform) {
  const auto decoder = load(randomCheckpoint(tinyConfig()));
  const at::Tensor ids = someIds(2, 20, 29);
  const Halving transform;
  const at::Tensor whole = valueOf(decoder->forward(ids, &transform, {}, false, {})).hiddenLast;
  for (const std::int64_t part : {1, 2, 7, 20}) {
    LiveCache cache;
    EXPECT_LE(maximumDifference(readInParts(*decoder, ids, part, &transform, cache), whole), 1e-5)
        << "parts of " << part;
  }
  // Beside tokens that are read as they are stands what it makes of them.
  LiveCache plain, stored, exact;
  exact.beside = &transform;
  readInParts(*decoder, ids, 7, nullptr, plain);
  readInParts(*decoder, ids, 7, nullptr, exact);
  readInParts(*decoder, ids, 7, &transform, stored);
  EXPECT_LE(maximumDifference(exact.layers[1].keys, plain.layers[1].keys), 1e-6);
  EXPECT_LE(maximumDifference(exact.layers[0].storedKeys, stored.layers[0].keys), 1e-6);
  EXPECT_LE(maximumDifference(exact.layers[0].storedValues, stored.layers[0].values), 1e-6);
}

TEST(LiveCache, WhatIsTakenOutIsNotSeen) {
  const auto decoder = load(randomCheckpoint(tinyConfig()));
  const at::Tensor ids = someIds(2, 12, 29);
  LiveCache emptied, shorter;
  readInParts(*decoder, ids, 12, nullptr, emptied);
  shorter = emptied;
  for (LiveLayer& layer : emptied.layers) {  // tokens 4 to 7 are empty places here,
    layer.positions = layer.positions.clone();
    layer.positions.narrow(2, 4, 4).fill_(-1);
    layer.keys = layer.keys.clone();
    layer.keys.narrow(2, 4, 4).fill_(1e3);
  }
  for (LiveLayer& layer : shorter.layers) {  // and no places at all there
    const auto without = [](const at::Tensor& x) { return at::cat({x.narrow(2, 0, 4), x.narrow(2, 8, 4)}, 2); };
    layer.keys = without(layer.keys);
    layer.values = without(layer.values);
    layer.positions = without(layer.positions);
  }
  const at::Tensor next = someIds(2, 3, 29);
  EXPECT_LE(maximumDifference(valueOf(decoder->extend(next, emptied, nullptr, {})),
                              valueOf(decoder->extend(next, shorter, nullptr, {}))),
            1e-5);
}

TEST(LiveCache, LossesAndAttentionAreThoseOfThePass) {
  const auto decoder = load(randomCheckpoint(tinyConfig()));
  const at::Tensor ids = someIds(2, 16, 29);
  LiveCache cache;
  cache.queryWindow = 5;
  const at::Tensor hidden = readInParts(*decoder, ids, 6, nullptr, cache);
  EXPECT_LE(maximumDifference(valueOf(decoder->lossesBehind(hidden, ids, {})),
                              valueOf(decoder->tokenLosses(ids, nullptr, {}))),
            1e-5);
  const LiveLayer& layer = cache.layers[1];
  EXPECT_EQ(layer.queries.size(2), 5);
  const at::Tensor weights = decoder->recentAttention(1, layer, cache.tokens);
  EXPECT_LE(maximumDifference(weights.sum(-1), at::full({2, 4, 5}, 1.0)), 1e-5);
  EXPECT_EQ(weights.select(2, 0).narrow(-1, 12, 4).max().item<float>(),
            0);  // the query at place 11 sees nothing behind it
  // By hand, of the last query of head 3 (kv head 1).
  const at::Tensor scores = layer.keys[0][1].matmul(layer.queries[0][3][4]) / std::sqrt(6.0);
  EXPECT_LE(maximumDifference(weights[0][3][4], scores.softmax(0)), 1e-5);
}

TEST(LiveCache, RefusesTransformsThatShareScales) {
  class Blockwise : public CacheTransform {};
  const auto decoder = load(randomCheckpoint(tinyConfig()));
  LiveCache cache;
  const Blockwise transform;
  const auto answer = decoder->extend(someIds(1, 3, 29), cache, &transform, {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::invalidArgument);
}

}  // namespace
}  // namespace kvista::test
