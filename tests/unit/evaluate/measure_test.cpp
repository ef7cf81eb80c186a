// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Perplexity, response curves and the whole of calibration.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/evaluate/calibrate.h"
#include "core/evaluate/measure_response.h"
#include "core/evaluate/perplexity.h"
#include "tests/unit/demo_model.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

TEST(MeasurePerplexity, IsTheExponentialOfTheMeanTokenLoss) {
  const at::Tensor ids = demoWindows(35, 0, kEvaluationText).ids;  // more than one batch of 2048 tokens
  std::vector<std::uint64_t> done;
  const Task task{{}, [&](const ProgressReport& report) {
                    EXPECT_EQ(report.stage, "reading");
                    done.push_back(report.done);
                  }};
  const Perplexity measured = valueOf(measurePerplexity(shortDecoder(), ids, nullptr, "reading", task));
  const at::Tensor losses = valueOf(shortDecoder().tokenLosses(ids, nullptr, {})).to(at::kDouble);
  EXPECT_EQ(measured.predictions, 35 * (kWindow - 1));
  EXPECT_NEAR(measured.meanLoss, losses.mean().item<double>(), 1e-6);
  EXPECT_NEAR(measured.perplexity() / std::exp(losses.mean().item<double>()), 1, 1e-6);
  ASSERT_EQ(measured.windowLosses.size(), 35U);
  for (const int window : {0, 31, 32, 34})
    EXPECT_NEAR(measured.windowLosses[static_cast<std::size_t>(window)], losses[window].mean().item<double>(), 1e-5);
  EXPECT_EQ(done, (std::vector<std::uint64_t>{0, 2048}));
}

TEST(StandardErrorOfDifference, IsOfWindowsInPairs) {
  const std::vector<double> one = {1, 5, 9}, other = {1.1, 5.2, 9.6};  // Differences .1, .2, .6 with mean .3.
  EXPECT_NEAR(standardErrorOfDifference(one, other).value(), std::sqrt((.04 + .01 + .09) / 2 / 3), 1e-12);
  EXPECT_NEAR(standardErrorOfDifference(one, one).value(), 0, 1e-12) << "however different the windows are";
  EXPECT_FALSE(standardErrorOfDifference({}, {}));
  EXPECT_FALSE(standardErrorOfDifference(std::vector{1.0}, std::vector{2.0}));
}

TEST(TogetherOf, CountsEveryTokenTheSame) {
  const Perplexity all = togetherOf({{2, 10, {1, 3}, 0.5}, {3, 30, {3}, 0.25}});
  EXPECT_DOUBLE_EQ(all.meanLoss, (2.0 * 10 + 3.0 * 30) / 40);
  EXPECT_EQ(all.predictions, 40);
  EXPECT_EQ(all.windowLosses, (std::vector<double>{1, 3, 3}));
  EXPECT_DOUBLE_EQ(all.seconds, 0.75);
  // Windows of two texts measured by themselves are the windows measured at once.
  const at::Tensor first = demoWindows(3, 0, kEvaluationText).ids, second = demoWindows(1).ids;
  const auto of = [](const at::Tensor& ids) {
    return valueOf(measurePerplexity(shortDecoder(), ids, nullptr, "", {}));
  };
  EXPECT_NEAR(togetherOf({of(first), of(second)}).meanLoss, of(at::cat({first, second})).meanLoss, 1e-6);
}

TEST(MeasurePerplexity, TheTrainedModelKnowsItsText) {
  const Perplexity measured =
      valueOf(measurePerplexity(demoDecoder(), demoWindows(8, 0, kEvaluationText).ids, nullptr, "", {}));
  EXPECT_LT(measured.perplexity(), 4096.0 / 20);  // a uniform guess has the vocabulary's size
  EXPECT_GT(measured.perplexity(), 5);
}

TEST(MeasurePerplexity, ATransformIsHeeded) {
  class NoValues : public CacheTransform {
    KeyValues beforeRope(int, KeyValues raw) const override { return {raw.keys, raw.values * 0}; }
  };
  const at::Tensor ids = demoWindows(4).ids;
  const NoValues transform;
  EXPECT_GT(valueOf(measurePerplexity(shortDecoder(), ids, &transform, "", {})).meanLoss,
            valueOf(measurePerplexity(shortDecoder(), ids, nullptr, "", {})).meanLoss + 0.01);
}

TEST(MeasurePerplexity, StopsAndRefuses) {
  std::stop_source stop;
  stop.request_stop();
  const at::Tensor ids = demoWindows(1).ids;
  EXPECT_EQ(errorOf(measurePerplexity(shortDecoder(), ids, nullptr, "", {stop.get_token(), {}})).code,
            ErrorCode::cancelled);
  EXPECT_EQ(errorOf(measurePerplexity(shortDecoder(), ids + 5000, nullptr, "", {})).code, ErrorCode::invalidArgument);
  EXPECT_EQ(errorOf(measurePerplexity(shortDecoder(), ids.narrow(1, 0, 1), nullptr, "", {})).code,
            ErrorCode::invalidArgument);
}

// The small model hardly loses anything at the gentler points: there a short text measures noise, which is no point.
TEST(MeasureResponse, RisesForEachWayOfStoring) {
  Statistics statistics = shortStatistics();
  const at::Tensor heldOut = demoWindows(48, 12).ids;
  ASSERT_TRUE(measureResponse(shortDecoder(), statistics, heldOut, {}));
  EXPECT_NEAR(statistics.heldOutLoss, valueOf(measurePerplexity(shortDecoder(), heldOut, nullptr, "", {})).meanLoss,
              1e-6);
  EXPECT_EQ(statistics.baseLoss(), statistics.heldOutLoss);
  ASSERT_EQ(statistics.response.size(), 2U);
  for (const Storage storage : {Storage::coded, Storage::lowRank16}) {
    const std::vector<ResponsePoint>& points = statistics.response.at(storage).points();
    ASSERT_LE(points.size(), 3U);
    for (std::size_t i = 1; i < points.size(); ++i) {
      EXPECT_GT(points[i].predicted, points[i - 1].predicted);
      EXPECT_GT(points[i].measured, points[i - 1].measured);  // harder plans lose more on this model
    }
  }
}

TEST(Calibrate, HoldsWindowsOutBeyondTheWantedOnes) {
  CalibrationRequest request;
  request.recipe = demoRecipe(6);
  const Statistics statistics = valueOf(calibrate(shortDecoder(), "model", demoTokenizer(), request, {}));
  EXPECT_EQ(statistics.windows, 6);
  EXPECT_EQ(statistics.recipe, request.recipe);
  EXPECT_EQ(statistics.tokensHash, demoWindows(6).hash);
  EXPECT_EQ(statistics.response.size(), 2U);
  // 8192 tokens are 128 windows: those after the sixth.
  EXPECT_NEAR(statistics.heldOutLoss,
              valueOf(measurePerplexity(shortDecoder(), demoWindows(128, 6).ids, nullptr, "", {})).meanLoss, 1e-5);
}

TEST(Calibrate, GoesOnFromAPassThatWasWholeWhenItWasCutOff) {
  const TemporaryFolder folder;
  CalibrationRequest request;
  request.recipe = demoRecipe(6);
  request.partialFile = folder / "partial";
  int passes = 0;
  for (const int expected : {1, 1}) {
    std::stop_source stop;
    const Task cutOff{stop.get_token(), [&](const ProgressReport& report) {
                        if (report.stage == "calibrate" && report.done == 0) ++passes;
                        if (report.stage == "held-out text") stop.request_stop();
                      }};
    EXPECT_EQ(errorOf(calibrate(shortDecoder(), "model", demoTokenizer(), request, cutOff)).code, ErrorCode::cancelled);
    EXPECT_EQ(passes, expected);
  }
}

TEST(Calibrate, HoldsAnEighthOutOfATextThatIsUsedUp) {
  CalibrationRequest request;
  request.recipe = demoRecipe(1);
  request.recipe.windows.reset();
  request.recipe.skipWindows = demoWindows(100'000).ids.size(0) - 17;
  const Statistics statistics = valueOf(calibrate(shortDecoder(), "model", demoTokenizer(), request, {}));
  EXPECT_EQ(statistics.windows, 15);
  EXPECT_EQ(*statistics.recipe.windows, 15);
  EXPECT_GT(statistics.heldOutLoss, 0);
}

TEST(Calibrate, WithoutGradientsNothingIsHeldOut) {
  CalibrationRequest request;
  request.recipe = demoRecipe(3);
  request.gradients = false;
  const Statistics statistics = valueOf(calibrate(shortDecoder(), "model", demoTokenizer(), request, {}));
  EXPECT_EQ(statistics.windows, 3);
  EXPECT_TRUE(statistics.response.empty());
  EXPECT_EQ(statistics.heldOutLoss, 0);
}

}  // namespace
}  // namespace kvista::test
