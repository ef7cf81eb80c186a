// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/statistics.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/matmul.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/calibration/statistics_file.h"
#include "tests/unit/demo_model.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using ::testing::HasSubstr;

at::Tensor gram(const at::Tensor& rows) { return at::matmul(rows.t(), rows).to(at::kDouble); }

const Statistics& whole() {
  static const Statistics statistics = statisticsOf(shortDecoder(), demoWindows(4));
  return statistics;
}

const Statistics& shard(bool second) {
  static const Statistics shards[] = {statisticsOf(shortDecoder(), demoWindows(3)),
                                      statisticsOf(shortDecoder(), demoWindows(1, 3))};
  return shards[second];
}

TEST(MergeStatistics, ShardsAddToTheWholePass) {
  const Statistics sum = valueOf(mergeStatistics(shard(false), shard(true)));
  EXPECT_EQ(sum.tokens, whole().tokens);
  EXPECT_EQ(sum.windows, whole().windows);
  EXPECT_NEAR(sum.lossSum, whole().lossSum, 1e-6 * whole().lossSum);
  EXPECT_TRUE(at::equal(sum.tokenIds, whole().tokenIds));
  for (std::size_t i = 0; i < 2; ++i) {
    const LayerStatistics& a = sum.layers[i];
    const LayerStatistics& b = whole().layers[i];
    EXPECT_LE(relativeDifference(a.secondMoment(), b.secondMoment()), 1e-6);
    EXPECT_LE(relativeDifference(a.sum, b.sum), 1e-6);
    EXPECT_LE(relativeDifference(a.sinkSum, b.sinkSum), 1e-6);
    EXPECT_LE(relativeDifference(gram(a.sinkFactor), gram(b.sinkFactor)), 1e-6);
    EXPECT_LE(relativeDifference(a.rotatedKeys, b.rotatedKeys), 1e-6);
    EXPECT_LE(relativeDifference(a.rotatedQueries, b.rotatedQueries), 1e-6);
    EXPECT_EQ(a.attentionMaps.sizes(), b.attentionMaps.sizes());  // of sampled tokens, which shards draw as they begin
    EXPECT_LE(relativeDifference(a.fisherKeys, b.fisherKeys), 1e-5);
    EXPECT_LE(relativeDifference(a.fisherValues, b.fisherValues), 1e-5);
    EXPECT_LE(relativeDifference(a.fisherRotatedKeys, b.fisherRotatedKeys), 1e-5);
    EXPECT_LE(relativeDifference(a.sinkFisherKeys, b.sinkFisherKeys), 1e-5);
    EXPECT_LE(relativeDifference(a.sinkFisherValues, b.sinkFisherValues), 1e-5);
    EXPECT_NEAR(a.keyFisherScore / b.keyFisherScore, 1, 0.1);  // of means: not exactly additive
    EXPECT_EQ(a.sample.size(0), b.sample.size(0));
    EXPECT_EQ(a.samplePositions.size(0), a.sample.size(0));
  }
}

TEST(MergeStatistics, KeepsTheResponseThatEitherHas) {
  Statistics measured = shard(true);
  measured.response.emplace(Storage::coded, ResponseCurve({{0.1, 0.2}}));
  measured.heldOutLoss = 3.5;
  for (const Statistics& sum :
       {valueOf(mergeStatistics(shard(false), measured)), valueOf(mergeStatistics(measured, shard(false)))}) {
    EXPECT_EQ(sum.response, measured.response);
    EXPECT_EQ(sum.baseLoss(), 3.5);
  }
}

TEST(MergeStatistics, KeepsHeldOutWindowsThatNeitherHasSummed) {
  Statistics first = shard(false), second = shard(true);
  first.heldOutIds = demoWindows(3, 3).ids.to(at::kInt);   // its first window is the second shard's
  second.heldOutIds = demoWindows(2, 5).ids.to(at::kInt);  // its first window is held out by both
  EXPECT_TRUE(at::equal(valueOf(mergeStatistics(first, second)).heldOutIds, demoWindows(3, 4).ids.to(at::kInt)));
  first.heldOutIds = demoWindows(1, 3).ids.to(at::kInt);
  second.heldOutIds = at::Tensor();
  EXPECT_FALSE(valueOf(mergeStatistics(first, second)).heldOutIds.defined());
}

TEST(MergeStatistics, Refuses) {
  const auto refusal = [](const std::function<void(Statistics&)>& change) {
    Statistics other = shard(true);
    change(other);
    const Error error = errorOf(mergeStatistics(shard(false), other));
    EXPECT_EQ(error.code, ErrorCode::invalidArgument);
    return error.message;
  };
  EXPECT_THAT(refusal([](Statistics& other) { other = shard(false); }), HasSubstr("of the same tokens"));
  EXPECT_THAT(refusal([](Statistics& other) { other.modelHash = "another"; }), HasSubstr("different models"));
  EXPECT_THAT(refusal([](Statistics& other) { other.gradients = false; }),
              HasSubstr("has gradients and the other has none"));
  EXPECT_THAT(refusal([](Statistics& other) { other.tokenIds = other.tokenIds.narrow(1, 0, 32); }),
              HasSubstr("windows of 64 and 32 tokens"));
}

TEST(CompactFactor, FewRowsStayAsTheyAre) {
  const at::Tensor factor = gaussian({kSinkRank, 100}, 1).to(at::kFloat);
  EXPECT_TRUE(at::equal(compactFactor(factor), factor));
}

TEST(CompactFactor, ManyRowsLoseOnlyTheSmallestPart) {
  for (const auto& [rows, columns] : {std::pair{70, 100}, {200, 80}, {100, 100}, {200, 12}}) {
    const at::Tensor factor = gaussian({rows, columns}, 2);
    const at::Tensor compact = compactFactor(factor);
    ASSERT_LE(compact.size(0), kSinkRank);
    ASSERT_EQ(compact.size(1), columns);
    // No matrix of this rank is nearer than the one that drops the smallest eigenvalues.
    const at::Tensor values = at::linalg_eigvalsh(gram(factor));
    const std::int64_t dropped = std::max(0, columns - kSinkRank);
    const double least = values.narrow(0, 0, dropped).norm().item<double>();
    const double error = (gram(factor) - gram(compact.to(at::kDouble))).norm().item<double>();
    EXPECT_NEAR(error, least, 1e-5 * values.norm().item<double>()) << rows << " x " << columns;
  }
}

class StatisticsFile : public ::testing::Test {
 protected:
  StatisticsFile() {
    if (const auto saved = saveStatistics(file_, whole(), {}); !saved) throw std::runtime_error(saved.error().message);
  }
  Error damaged(const std::string& bytes) {
    writeText(file_, bytes);
    const Error error = errorOf(loadStatistics(file_));
    EXPECT_THAT(error.message, HasSubstr("calibration.kvstats"));
    EXPECT_THAT(error.message, ::testing::EndsWith("."));
    return error;
  }
  /// The file with a part of its description replaced by as many bytes.
  [[nodiscard]] std::string replaced(const std::string& part, const std::string& by) const {
    std::string bytes = readText(file_);
    const std::size_t place = bytes.find(part);
    if (place == std::string::npos || part.size() != by.size()) throw std::runtime_error("no " + part);
    return bytes.replace(place, by.size(), by);
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "calibration.kvstats";
};

TEST_F(StatisticsFile, LoadsWhatWasSaved) {
  Statistics saved = whole();
  saved.recipe = demoRecipe(4);
  saved.recipe.seed = 3;
  saved.response.emplace(Storage::coded, ResponseCurve({{0.1, 0.15}, {0.2, 0.4}}));
  saved.response.emplace(Storage::lowRank16, ResponseCurve({{0.3, 0.2}}));
  saved.heldOutLoss = 4.25;
  saved.heldOutIds = demoWindows(2, 4).ids.to(at::kInt);
  ASSERT_TRUE(saveStatistics(file_, saved, {}));
  const Statistics loaded = valueOf(loadStatistics(file_));
  EXPECT_EQ(loaded.shape, saved.shape);
  EXPECT_EQ(loaded.modelHash, saved.modelHash);
  EXPECT_EQ(loaded.recipe, saved.recipe);
  EXPECT_EQ(loaded.tokensHash, saved.tokensHash);
  EXPECT_EQ(std::tie(loaded.ofInput, loaded.gradients, loaded.tokens, loaded.windows, loaded.lossSum, loaded.device,
                     loaded.seconds, loaded.heldOutLoss),
            std::tie(saved.ofInput, saved.gradients, saved.tokens, saved.windows, saved.lossSum, saved.device,
                     saved.seconds, saved.heldOutLoss));
  EXPECT_EQ(loaded.response, saved.response);
  EXPECT_TRUE(at::equal(loaded.tokenIds, saved.tokenIds));
  EXPECT_TRUE(at::equal(loaded.heldOutIds, saved.heldOutIds));
  ASSERT_EQ(loaded.layers.size(), saved.layers.size());
  for (std::size_t i = 0; i < 2; ++i) {
    const LayerStatistics& a = loaded.layers[i];
    const LayerStatistics& b = saved.layers[i];
    for (const auto part :
         {&LayerStatistics::packedSecondMoment, &LayerStatistics::sum, &LayerStatistics::sinkFactor,
          &LayerStatistics::sinkSum, &LayerStatistics::fisherKeys, &LayerStatistics::fisherValues,
          &LayerStatistics::rotatedKeys, &LayerStatistics::rotatedQueries, &LayerStatistics::attentionMaps,
          &LayerStatistics::fisherRotatedKeys, &LayerStatistics::sinkFisherKeys, &LayerStatistics::sinkFisherValues,
          &LayerStatistics::sample, &LayerStatistics::samplePositions}) {
      EXPECT_EQ((a.*part).scalar_type(), (b.*part).scalar_type());
      EXPECT_TRUE(at::equal(a.*part, b.*part));
    }
    EXPECT_EQ(a.keyFisherScore, b.keyFisherScore);
    EXPECT_EQ(a.valueFisherScore, b.valueFisherScore);
  }
}

TEST_F(StatisticsFile, TakesTheBytesThatTheShapeSays) {
  for (const bool gradients : {true, false}) {
    for (const int windows : {2, 20}) {  // fewer and more sink rows than are kept
      const Statistics statistics = statisticsOf(shortDecoder(), demoWindows(windows), gradients);
      ASSERT_TRUE(saveStatistics(file_, statistics, {}));
      const auto size = static_cast<std::int64_t>(std::filesystem::file_size(file_));
      const std::int64_t tensors = statisticsBytes(shortDecoder().shape(), windows, kWindow, gradients);
      EXPECT_GE(size, tensors);
      EXPECT_LE(size, tensors + 16384);  // names, sizes and the description
    }
  }
}

TEST(StatisticsBytes, OfASevenBillionModelAreBelowTwelveHundredMillion) {
  ModelShape llama2;
  llama2.layers = 32;
  llama2.queryHeads = llama2.kvHeads = 32;
  llama2.headDim = llama2.valueHeadDim = 128;
  llama2.hiddenSize = 4096;
  llama2.vocabulary = 32000;
  for (const int windows : {1, 128, 256})
    EXPECT_LT(statisticsBytes(llama2, windows, 2048, true), 1'200'000'000) << windows;
  // The packed second moments are most of it: 4096 * 4095 / 2 numbers of 3 bytes and 4096 of 4 in 32 layers.
  EXPECT_GT(statisticsBytes(llama2, 256, 2048, true), 32LL * (3 * 4096 * 4095 / 2 + 4 * 4096));
}

TEST_F(StatisticsFile, WithoutGradientsNoneAreLoaded) {
  ASSERT_TRUE(saveStatistics(file_, statisticsOf(shortDecoder(), demoWindows(2), false), {}));
  const Statistics loaded = valueOf(loadStatistics(file_));
  EXPECT_FALSE(loaded.gradients);
  EXPECT_FALSE(loaded.layers[0].fisherKeys.defined());
}

TEST_F(StatisticsFile, OfTheVersionBeforeAreReadWithoutHeldOutText) {
  writeText(file_, replaced("\"version\":3", "\"version\":2"));
  const Statistics loaded = valueOf(loadStatistics(file_));
  EXPECT_TRUE(at::equal(loaded.layers[1].packedSecondMoment, whole().layers[1].packedSecondMoment));
  EXPECT_FALSE(loaded.heldOutIds.defined());
}

TEST_F(StatisticsFile, WhatStatisticsLackTheirFileLacks) {
  Statistics without = whole();
  for (LayerStatistics& layer : without.layers) layer.rotatedQueries = layer.attentionMaps = at::Tensor();
  ASSERT_TRUE(saveStatistics(file_, without, {}));
  const Statistics loaded = valueOf(loadStatistics(file_));
  EXPECT_FALSE(loaded.layers[0].rotatedQueries.defined() || loaded.layers[1].attentionMaps.defined());
  EXPECT_TRUE(at::equal(loaded.layers[1].rotatedKeys, whole().layers[1].rotatedKeys));
  Statistics with = shard(true);
  EXPECT_FALSE(valueOf(mergeStatistics(with,
                                       [] {
                                         Statistics other = shard(false);
                                         for (LayerStatistics& layer : other.layers)
                                           layer.rotatedQueries = at::Tensor();
                                         return other;
                                       }()))
                   .layers[0]
                   .rotatedQueries.defined());
}

TEST_F(StatisticsFile, ATruncatedFileIsCorrupt) {
  const std::string bytes = readText(file_);
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{500}, bytes.size() / 2, bytes.size() - 1})
    EXPECT_EQ(damaged(bytes.substr(0, size)).code, ErrorCode::corruptFile) << size;
}

TEST_F(StatisticsFile, SaysWhatIsDamaged) {
  const std::pair<std::pair<const char*, const char*>, const char*> cases[] = {
      {{"\"version\":3", "\"version\":7"}, "have version 7; this program reads versions 2 to 3"},
      {{"\"windows\":4}", "\"windows\":0}"}, "make no sense"},
      {{"\"windows\":4}", "\"windows\":5}"}, "token_ids"},
      {{"\"layers\":2", "\"layers\":3"}, "make no sense"},
      {{"\"kvHeads\":8", "\"kvHeads\":9"}, "rotated_keys"},
      {{"\"headDim\":32", "\"headDim\":-2"}, "make no sense"},
      {{"\"hiddenSize\":256", "\"hiddenSize\":128"}, "second_moment"},
      {{"\"modelHash\"", "\"modelName\""}, "is damaged: its field 'modelHash' is missing"},
      {{"\"tokens\":256", "\"tokens\":\"8\""}, "is damaged: its field 'tokens' is missing or of the wrong kind"}};
  const std::string intact = readText(file_);
  for (const auto& [change, sentence] : cases) {
    writeText(file_, intact);
    const Error error = damaged(replaced(change.first, change.second));
    EXPECT_EQ(error.code, ErrorCode::corruptFile) << change.second;
    EXPECT_THAT(error.message, HasSubstr(sentence)) << change.second;
    EXPECT_EQ(error.detail, "") << "no words of a library";
  }
}

TEST_F(StatisticsFile, NumbersThatCannotBeAreDamage) {
  Statistics odd = whole();
  odd.heldOutLoss = -1;
  ASSERT_TRUE(saveStatistics(file_, odd, {}));
  const Error negative = errorOf(loadStatistics(file_));
  EXPECT_EQ(negative.code, ErrorCode::corruptFile);
  EXPECT_THAT(negative.message, HasSubstr("The field 'heldOutLoss' in the description of the statistics"));
  EXPECT_THAT(negative.message, HasSubstr("is -1, it must be at least 0."));
  odd = whole();
  odd.layers[1].attentionMaps = at::full_like(odd.layers[1].attentionMaps, std::nan(""));
  ASSERT_TRUE(saveStatistics(file_, odd, {}));
  const Error undefined = errorOf(loadStatistics(file_));
  EXPECT_EQ(undefined.code, ErrorCode::corruptFile);
  EXPECT_THAT(undefined.message, HasSubstr("The tensor layers.1.attention_maps of"));
}

TEST_F(StatisticsFile, SaysItsModelWhateverItsTensorsAre) {
  EXPECT_EQ(valueOf(modelOfStatistics(file_)), whole().modelHash);
  const std::string intact = readText(file_);
  writeText(file_, replaced("\"kvHeads\":8", "\"kvHeads\":9"));  // none of its tensors has that shape
  EXPECT_EQ(valueOf(modelOfStatistics(file_)), whole().modelHash);
  writeText(file_, intact);
  writeText(file_, replaced("\"modelHash\"", "\"modelName\""));
  EXPECT_THAT(errorOf(modelOfStatistics(file_)).message, HasSubstr("is damaged"));
}

TEST_F(StatisticsFile, ATensorFileOfSomethingElseIsNamed) {
  EXPECT_THAT(damaged(safetensorsBytes("{}", "")).message, HasSubstr("holds no KVista statistics"));
  EXPECT_THAT(errorOf(modelOfStatistics(file_)).message, HasSubstr("holds no KVista statistics"));
  EXPECT_THAT(damaged(R"({"format": "kvista-project", "version": 1})").message,
              HasSubstr("calibration.kvstats is a project, not a file of statistics."));
  std::filesystem::remove(file_);
  EXPECT_EQ(errorOf(loadStatistics(file_)).code, ErrorCode::io);
  EXPECT_THAT(errorOf(loadStatistics(folder_.path())).message, HasSubstr(" is a folder, not a file of statistics."));
}

}  // namespace
}  // namespace kvista::test
