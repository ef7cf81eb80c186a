// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/statistics_pass.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "core/calibration/layer_accumulator.h"
#include "tests/unit/demo_model.h"
#include "tests/unit/distributed/members.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

constexpr std::int64_t kWindows = 3;  // 12 sink tokens, few enough for an exact factor

/// The short model's layers as one forward and backward pass over all windows sees them.
const std::vector<LayerRecord>& records() {
  static const std::vector<LayerRecord> all = [] {
    std::vector<LayerRecord> seen(2);
    const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
      seen[static_cast<std::size_t>(record.layer)] = record;
      return {};
    };
    valueOf(shortDecoder().forwardBackward(demoWindows(kWindows).ids, visitor, {}));
    return seen;
  }();
  return all;
}

/// Batches of 2 windows and 1.
const Statistics& pass() {
  static const Statistics statistics = statisticsOf(shortDecoder(), demoWindows(kWindows));
  return statistics;
}

at::Tensor gram(const at::Tensor& rows) { return at::matmul(rows.transpose(-1, -2), rows); }

/// [b, n, heads * d] to float64 [heads, b, n, d].
at::Tensor byHead(const at::Tensor& outputs) {
  return outputs.to(at::kDouble).unflatten(2, {8, 32}).permute({2, 0, 1, 3});
}

TEST(StatisticsPass, SumsAreThoseOfADirectPass) {
  const Statistics& statistics = pass();
  EXPECT_TRUE(statistics.ofInput);  // 256 inputs, 512 outputs
  EXPECT_TRUE(statistics.gradients);
  EXPECT_EQ(statistics.windows, kWindows);
  EXPECT_EQ(statistics.tokens, kWindows * kWindow);
  EXPECT_EQ(statistics.sinkTokens(), kWindows * 4);
  EXPECT_EQ(statistics.tokensHash, demoWindows(kWindows).hash);
  EXPECT_TRUE(at::equal(statistics.tokenIds.to(at::kLong), demoWindows(kWindows).ids));
  ASSERT_EQ(statistics.layers.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const LayerStatistics& layer = statistics.layers[i];
    const at::Tensor inputs = records()[i].attentionInput.to(at::kDouble);
    EXPECT_LE(relativeDifference(layer.secondMoment(), gram(inputs.flatten(0, 1))), 1e-5);
    EXPECT_LE(relativeDifference(layer.sum, inputs.flatten(0, 1).sum(0)), 1e-5);
    const at::Tensor sinks = inputs.narrow(1, 0, 4).flatten(0, 1);
    EXPECT_LE(relativeDifference(layer.sinkSum, sinks.sum(0)), 1e-5);
    EXPECT_LE(relativeDifference(gram(layer.sinkFactor.to(at::kDouble)), gram(sinks)), 1e-5);
    const at::Tensor rotated = records()[i].rotatedKeys.to(at::kDouble).transpose(0, 1).flatten(1, 2);
    EXPECT_LE(relativeDifference(layer.rotatedKeys, gram(rotated)), 1e-5);
  }
}

TEST(StatisticsPass, FisherBlocksAreSumsOverTheGradients) {
  double loss = 0;
  ASSERT_NO_THROW(loss = valueOf(shortDecoder().forwardBackward(demoWindows(kWindows).ids, {}, {})));
  EXPECT_NEAR(pass().lossSum, loss, 1e-5 * loss);
  EXPECT_NEAR(pass().baseLoss(), loss / (kWindows * (kWindow - 1)), 1e-5);
  for (std::size_t i = 0; i < 2; ++i) {
    const LayerStatistics& layer = pass().layers[i];
    const LayerRecord& record = records()[i];
    const std::tuple<at::Tensor, at::Tensor, at::Tensor> parts[] = {
        {byHead(record.gradientKeys), layer.fisherKeys, layer.sinkFisherKeys},
        {byHead(record.gradientValues), layer.fisherValues, layer.sinkFisherValues},
        {record.gradientRotatedKeys.to(at::kDouble).transpose(0, 1), layer.fisherRotatedKeys, at::Tensor()}};
    for (const auto& [gradients, beyond, sinks] : parts) {  // [heads, windows, tokens, 32]
      EXPECT_LE(relativeDifference(beyond, gram(gradients.narrow(2, 4, kWindow - 4).flatten(1, 2))), 1e-4);
      if (sinks.defined()) {
        EXPECT_LE(relativeDifference(sinks, gram(gradients.narrow(2, 0, 4).flatten(1, 2))), 1e-4);
      }
    }
    // The papers' score: mean over weights of the root of the mean over windows of the squared weight gradient.
    const auto score = [&](const at::Tensor& gradient) {
      const at::Tensor ofWeights =
          at::matmul(gradient.to(at::kDouble).transpose(1, 2), record.attentionInput.to(at::kDouble));
      return ofWeights.square().mean(0).sqrt().mean().item<double>();
    };
    EXPECT_NEAR(layer.keyFisherScore / score(record.gradientKeys), 1, 1e-3);
    EXPECT_NEAR(layer.valueFisherScore / score(record.gradientValues), 1, 1e-3);
  }
}

TEST(StatisticsPass, SampledRowsAreInputsBeyondTheFirstFourTokens) {
  for (std::size_t i = 0; i < 2; ++i) {
    const LayerStatistics& layer = pass().layers[i];
    ASSERT_EQ(layer.sample.size(0), kWindows * 60);  // fewer tokens than rows wanted: every one beyond the sinks
    const at::Tensor expected = records()[i].attentionInput.narrow(1, 4, 60).flatten(0, 1);
    EXPECT_LE(relativeDifference(layer.sample, expected), 5e-3);  // bfloat16
    EXPECT_TRUE(at::equal(layer.samplePositions.to(at::kLong), at::arange(4, 64).repeat({kWindows})));
  }
}

TEST(StatisticsPass, LayersThatAreReadOneAfterTheOtherGiveTheSameSums) {
  Checkpoint checkpoint = demoCheckpoint();
  checkpoint.config["num_hidden_layers"] = 2;
  ComputeOptions options;
  options.streamLayers = true;
  const auto streamed = valueOf(Decoder::load(checkpoint, options, {}));
  // All windows in one pass, in steps of 2 and 1.
  const Statistics found = statisticsOf(*streamed, demoWindows(kWindows));
  EXPECT_EQ(found.lossSum, pass().lossSum);
  for (std::size_t i = 0; i < 2; ++i) {
    const LayerStatistics& layer = found.layers[i];
    const LayerStatistics& expected = pass().layers[i];
    EXPECT_TRUE(at::equal(layer.secondMoment(), expected.secondMoment()));
    EXPECT_TRUE(at::equal(layer.fisherKeys, expected.fisherKeys));
    EXPECT_TRUE(at::equal(layer.fisherRotatedKeys, expected.fisherRotatedKeys));
    EXPECT_TRUE(at::equal(layer.sample, expected.sample));
    EXPECT_TRUE(at::equal(layer.samplePositions, expected.samplePositions));
    EXPECT_EQ(layer.valueFisherScore, expected.valueFisherScore);
  }
}

TEST(StatisticsPass, WithoutGradientsTheOtherSumsAreTheSame) {
  const Statistics plain = statisticsOf(shortDecoder(), demoWindows(kWindows), false);
  EXPECT_FALSE(plain.gradients);
  EXPECT_EQ(plain.lossSum, 0);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_FALSE(plain.layers[i].fisherKeys.defined());
    EXPECT_FALSE(plain.layers[i].fisherValues.defined());
    EXPECT_FALSE(plain.layers[i].fisherRotatedKeys.defined());
    EXPECT_LE(relativeDifference(plain.layers[i].secondMoment(), pass().layers[i].secondMoment()), 1e-6);
    EXPECT_LE(relativeDifference(plain.layers[i].rotatedKeys, pass().layers[i].rotatedKeys), 1e-6);
  }
}

TEST(StatisticsPass, StopsBetweenBatchesAndReportsProgress) {
  std::stop_source stop;
  std::vector<std::uint64_t> done;
  const Task task{stop.get_token(), [&](const ProgressReport& report) {
                    EXPECT_EQ(report.total, static_cast<std::uint64_t>(kWindows * kWindow));
                    done.push_back(report.done);
                    if (done.size() == 2) stop.request_stop();
                  }};
  StatisticsOptions options;
  options.gradients = false;
  options.tokensPerBatch = 2 * kWindow;
  EXPECT_EQ(errorOf(runStatisticsPass(shortDecoder(), "model", demoWindows(kWindows), options, task)).code,
            ErrorCode::cancelled);
  EXPECT_EQ(done, (std::vector<std::uint64_t>{0, 2 * kWindow}));
}

TEST(StatisticsPass, SumsStayUntilTheStatisticsAreSaved) {
  const TemporaryFolder folder;
  StatisticsOptions options;
  options.partialFile = folder / "partial";
  const auto textGoesThrough = [&] {
    bool read = false;
    const Task task{{}, [&](const ProgressReport&) { read = true; }};
    const Statistics statistics =
        valueOf(runStatisticsPass(shortDecoder(), "model", demoWindows(kWindows), options, task));
    EXPECT_LE(relativeDifference(statistics.layers[1].secondMoment(), pass().layers[1].secondMoment()), 1e-6);
    return read;
  };
  EXPECT_TRUE(textGoesThrough());
  EXPECT_FALSE(textGoesThrough());
  ASSERT_TRUE(forgetPass(options.partialFile, {}));
  EXPECT_TRUE(namesIn(folder.path()).empty());
  EXPECT_TRUE(textGoesThrough());
}

TEST(StatisticsPass, ADamagedPartialFileOnlyMeansStartingAnew) {
  const TemporaryFolder folder;
  StatisticsOptions options;
  options.partialFile = folder / "partial";
  writeText(options.partialFile, "nothing of ours");
  const Statistics statistics = valueOf(runStatisticsPass(shortDecoder(), "model", demoWindows(2), options, {}));
  EXPECT_LE(relativeDifference(statistics.layers[0].secondMoment(),
                               statisticsOf(shortDecoder(), demoWindows(2)).layers[0].secondMoment()),
            1e-6);
}

/// A made-up record: 3 windows of 20 tokens, hidden size 5, 2 heads of 3 and 2 numbers, with biases.
struct MadeUp {
  ModelShape shape{"made-up", 1, 2, 2, 3, 2, 5, 11, 0};
  at::Tensor keyBias = gaussian({6}, 1);
  at::Tensor valueBias = gaussian({4}, 2);
  at::Tensor input = gaussian({3, 20, 5}, 3);
  at::Tensor keys = gaussian({3, 20, 6}, 4) + keyBias;
  at::Tensor values = gaussian({3, 20, 4}, 5) + valueBias;
  at::Tensor rotated = gaussian({3, 2, 20, 3}, 6);
  at::Tensor queries = gaussian({3, 4, 20, 3}, 7);  // two a KV head
  AttentionDescription attention{.slidingWindow = 6, .scale = 0.5};

  [[nodiscard]] LayerRecord windows(std::int64_t begin, std::int64_t count) const {
    const auto cut = [&](const at::Tensor& tensor) { return tensor.narrow(0, begin, count).to(at::kFloat); };
    LayerRecord record;
    record.attentionInput = cut(input);
    record.keys = cut(keys);
    record.values = cut(values);
    record.rotatedKeys = cut(rotated);
    record.rotatedQueries = cut(queries);
    record.gradientKeys = cut(keys).square();
    record.gradientValues = cut(values).square();
    record.gradientRotatedKeys = cut(rotated).square();
    return record;
  }
  [[nodiscard]] LayerAccumulator accumulator(std::int64_t rows) const { return {shape, false, true, rows, at::kCPU}; }
  void add(LayerAccumulator& sums, std::int64_t begin, std::int64_t count) const {
    sums.add(windows(begin, count), keyBias.to(at::kFloat), valueBias.to(at::kFloat), attention, begin);
  }
};

TEST(LayerAccumulator, QueriesAndAttentionMapsAreThoseOfADirectComputation) {
  for (const bool isPlain : {true, false}) {
    MadeUp data;
    if (!isPlain) {
      data.attention.scoreCap = 0.8;
      data.attention.linearBiases = LinearBiases{.slopes = {0.5, 0.25, 0.125, 0.0625}};
    }
    LayerAccumulator sums = data.accumulator(7);
    data.add(sums, 0, 2);
    data.add(sums, 2, 1);
    const LayerStatistics layer = sums.finish(3);
    const at::Tensor grouped = data.queries.unflatten(1, {2, 2});  // [windows, KV heads, queries, tokens, 3]
    EXPECT_LE(relativeDifference(layer.rotatedQueries, gram(grouped.transpose(0, 1).flatten(1, 3))), 1e-5);

    at::Tensor expected = at::zeros({2, 2}, at::kDouble);
    for (std::int64_t window = 0; window < 3; ++window)
      for (const std::int64_t token : samplePositionsOf(window, 20, 7)) {
        std::vector<at::Tensor> maps;
        const std::int64_t first = std::max<std::int64_t>(0, token - 5);  // six keys, its own included
        for (std::int64_t head = 0; head < 2; ++head) {
          at::Tensor mean = at::zeros({20}, at::kDouble);
          for (std::int64_t query = 0; query < 2; ++query) {
            const at::Tensor keys = data.rotated[window][head].narrow(0, first, token - first + 1);
            at::Tensor scores = at::matmul(keys, grouped[window][head][query][token]) * 0.5;
            if (!isPlain)
              scores = (scores / 0.8).tanh() * 0.8 + at::arange(first, token + 1, at::kDouble) *
                                                         std::exp2(-static_cast<double>(2 * head + query + 1));
            const at::Tensor map = scores.softmax(0);
            mean.narrow(0, first, token - first + 1).add_(map / 2);
          }
          maps.push_back(mean);
        }
        const at::Tensor both = at::stack(maps);
        expected += at::matmul(both, both.t());
      }
    EXPECT_LE(relativeDifference(layer.attentionMaps, expected), 1e-5);
  }
}

TEST(LayerAccumulator, QueriesOfAnotherWidthThanKeysAreLeftOut) {
  MadeUp data;
  data.queries = gaussian({3, 4, 20, 5}, 7);
  LayerAccumulator sums = data.accumulator(7);
  data.add(sums, 0, 3);
  EXPECT_FALSE(sums.finish(3).rotatedQueries.defined());
  EXPECT_FALSE(sums.finish(3).attentionMaps.defined());
}

TEST(LayerAccumulator, OutputsAreSummedWithoutTheirBias) {
  const MadeUp data;
  LayerAccumulator sums = data.accumulator(4);
  data.add(sums, 0, 3);
  const LayerStatistics layer = sums.finish(3);
  const at::Tensor outputs = at::cat({data.keys - data.keyBias, data.values - data.valueBias}, -1);
  EXPECT_LE(relativeDifference(layer.secondMoment(), gram(outputs.flatten(0, 1))), 1e-6);
  EXPECT_LE(relativeDifference(layer.sum, outputs.flatten(0, 1).sum(0)), 1e-6);
  EXPECT_LE(relativeDifference(gram(layer.sinkFactor), gram(outputs.narrow(1, 0, 4).flatten(0, 1))), 1e-6);
  EXPECT_EQ(layer.fisherKeys.sizes().vec(), (std::vector<std::int64_t>{2, 3, 3}));
  EXPECT_EQ(layer.fisherValues.sizes().vec(), (std::vector<std::int64_t>{2, 2, 2}));
}

TEST(LayerAccumulator, SamplesRisingPositionsBeyondTheSinksWhateverTheBatches) {
  const MadeUp data;
  LayerAccumulator together = data.accumulator(7);
  LayerAccumulator apart = data.accumulator(7);
  data.add(together, 0, 3);
  data.add(apart, 0, 1);
  data.add(apart, 1, 2);
  const LayerStatistics a = together.finish(3);
  const LayerStatistics b = apart.finish(3);
  EXPECT_TRUE(at::equal(a.samplePositions, b.samplePositions));
  EXPECT_TRUE(at::equal(a.sample, b.sample));
  ASSERT_EQ(a.samplePositions.size(0), 21);
  const at::Tensor outputs = at::cat({data.keys - data.keyBias, data.values - data.valueBias}, -1);
  const int* positions = a.samplePositions.const_data_ptr<int>();
  for (int i = 0; i < 21; ++i) {
    EXPECT_GE(positions[i], kSinkTokens);
    EXPECT_LT(positions[i], 20);
    if (i % 7 > 0) {
      EXPECT_GT(positions[i], positions[i - 1]);
    }
    EXPECT_LE(relativeDifference(a.sample[i], outputs[i / 7][positions[i]]), 1e-2) << i;
  }
}

TEST(LayerAccumulator, WindowsOfSinksAloneGiveNoSample) {
  const MadeUp data;
  LayerRecord record = data.windows(0, 3);
  for (at::Tensor* tensor :
       {&record.attentionInput, &record.keys, &record.values, &record.gradientKeys, &record.gradientValues})
    *tensor = tensor->narrow(1, 0, 3);
  for (at::Tensor* tensor : {&record.rotatedKeys, &record.rotatedQueries, &record.gradientRotatedKeys})
    *tensor = tensor->narrow(2, 0, 3);
  LayerAccumulator sums = data.accumulator(7);
  sums.add(record, {}, {}, data.attention, 0);
  const LayerStatistics layer = sums.finish(3);
  EXPECT_EQ(layer.sample.size(0), 0);
  EXPECT_EQ(layer.sinkFactor.size(0), 9);
}

TEST(LayerAccumulator, AStateTakenUpAgainGivesTheSameSums) {
  const TemporaryFolder folder;
  const MadeUp data;
  LayerAccumulator whole = data.accumulator(7);
  LayerAccumulator first = data.accumulator(7);
  data.add(whole, 0, 2);
  data.add(first, 0, 2);
  NamedTensors state;
  first.appendState("3.", state);
  ASSERT_TRUE(writeTensorFile(folder / "state", state, {}, {}));
  LayerAccumulator second = data.accumulator(7);
  const TensorFile file = valueOf(TensorFile::open(folder / "state"));
  ASSERT_TRUE(second.restoreState("3.", file));
  data.add(whole, 2, 1);
  data.add(second, 2, 1);
  const LayerStatistics a = whole.finish(3);
  const LayerStatistics b = second.finish(3);
  const std::pair<at::Tensor, at::Tensor> pairs[] = {{a.secondMoment(), b.secondMoment()},
                                                     {a.sum, b.sum},
                                                     {a.sinkFactor, b.sinkFactor},
                                                     {a.sinkSum, b.sinkSum},
                                                     {a.fisherKeys, b.fisherKeys},
                                                     {a.fisherValues, b.fisherValues},
                                                     {a.rotatedKeys, b.rotatedKeys},
                                                     {a.fisherRotatedKeys, b.fisherRotatedKeys},
                                                     {a.sinkFisherKeys, b.sinkFisherKeys},
                                                     {a.sinkFisherValues, b.sinkFisherValues},
                                                     {a.sample, b.sample},
                                                     {a.samplePositions, b.samplePositions}};
  for (const auto& [expected, got] : pairs) EXPECT_TRUE(at::equal(expected, got));
  EXPECT_EQ(a.keyFisherScore, b.keyFisherScore);
  EXPECT_EQ(a.valueFisherScore, b.valueFisherScore);

  // A state of another model is refused and changes nothing.
  MadeUp other;
  other.shape.headDim = 4;
  LayerAccumulator stranger = other.accumulator(7);
  EXPECT_EQ(errorOf(stranger.restoreState("3.", file)).code, ErrorCode::corruptFile);
  EXPECT_EQ(errorOf(second.restoreState("0.", file)).code, ErrorCode::corruptFile);
  EXPECT_TRUE(at::equal(second.finish(3).secondMoment(), b.secondMoment()));
}

TEST(LayerAccumulator, MembersOfAGroupHaveTogetherWhatOneProcessHas) {
  const MadeUp data;
  LayerAccumulator whole = data.accumulator(7);
  for (std::int64_t window = 0; window < 3; ++window) data.add(whole, window, 1);
  NamedTensors expected;
  whole.appendState("", expected);
  // The last of four has no windows.
  asGroup(4, [&](const ProcessGroup& processes) {
    LayerAccumulator own = data.accumulator(7);
    if (processes.rank() < 3) data.add(own, processes.rank(), 1);
    const auto all = own.together(processes, {});
    ASSERT_TRUE(all) << all.error().message;
    NamedTensors got;
    all->appendState("", got);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].first, expected[i].first);
      const at::Tensor& tensor = expected[i].second;
      ASSERT_EQ(got[i].second.sizes(), tensor.sizes()) << got[i].first;
      if (tensor.scalar_type() == at::kDouble) {
        EXPECT_LE(relativeDifference(got[i].second, tensor), 1e-14) << got[i].first;
      } else {  // rows that were gathered
        EXPECT_TRUE(at::equal(got[i].second, tensor)) << got[i].first;
      }
    }
  });
}

}  // namespace
}  // namespace kvista::test
