// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/attention_predictor.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "core/policy/attention_scores.h"
#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

TokenWindows longWindows(std::int64_t windows, const std::string& text) {
  TextRecipe recipe = demoRecipe(windows, 0, text);
  recipe.window = 192;
  return valueOf(readTokenWindows(demoTokenizer(), recipe, {}, {}));
}

std::filesystem::path savedAs(const std::string& name, const AttentionPredictor& predictor) {
  const auto file = std::filesystem::temp_directory_path() / name;
  if (auto saved = saveAttentionPredictor(file, predictor, "0123456789abcdef", {}); !saved)
    throw std::runtime_error(saved.error().message);
  return file;
}

TEST(AttentionPredictor, UntrainedItSaysTheHistorysMean) {
  const at::Tensor history = gaussian({3, 64, 40}, 5).abs().to(at::kFloat) / 40;
  const AttentionPredictor initial = AttentionPredictor::initial(3);
  const at::Tensor said = initial.predict(history);
  EXPECT_LT(largestDifference(said, (history.mean(1) * 40 + 1e-3).log()), 1e-5);
  // What came before a short history is nothing; of a long one the last queries count.
  const at::Tensor padded = at::cat({at::zeros({3, 54, 40}), history.narrow(1, 54, 10)}, 1);
  EXPECT_LT(largestDifference(initial.predict(history.narrow(1, 54, 10)), initial.predict(padded)), 1e-6);
  EXPECT_TRUE(initial.predict(at::cat({padded, history}, 1)).equal(said));
}

TEST(AttentionPredictor, ForetellsHeldOutTextBetterThanWhatIsAccumulated) {
  const FittedAttentionPredictor fitted = valueOf(fitAttentionPredictor(
      demoDecoder(), longWindows(8, kCalibrationText).ids, longWindows(3, kEvaluationText).ids, {}));
  const AttentionRecall& recall = fitted.recall;
  EXPECT_GT(recall.predicted, recall.accumulated + 0.01);
  EXPECT_GT(recall.predicted, recall.recent + 0.01);
  EXPECT_LT(recall.predicted, recall.best);
  EXPECT_LT(recall.best, 1);
  EXPECT_GT(fitted.correlation, 0.6);

  const auto file = savedAs("kvista-attention-predictor-test.safetensors", fitted.predictor);
  const AttentionPredictor read = valueOf(loadAttentionPredictor(file, "0123456789abcdef"));
  const PolicyRequest request{
      .policy = "attention-predictor", .options = {{"gate", file.string()}, {"window", "5"}}, .share = 0.3};
  PolicyCase made = PolicyCase::read(request);
  const LiveLayer& layer = made.cache.layers[1];
  const at::Tensor attention = recentAttentionOf({shortDecoder(), 1, layer, 60});
  ASSERT_EQ(attention.sizes(), (std::vector<std::int64_t>{2, 8, 60, 60}));  // all queries there are
  const at::Tensor scores = fitted.predictor.predict(attention[1]);         // [8, 60]
  made.act();
  EXPECT_EQ(made.run.bytes(made.cache)[0].item<std::int64_t>(), fullBytes(18));
  // The highest of each head stay, and the last 5.
  const at::Tensor ranked = at::cat({scores.narrow(1, 0, 55), at::zeros({8, 5}) + 1e9}, 1);
  for (int head = 0; head < 8; ++head)
    for (const std::int64_t position : heldBy(made.cache.layers[1], 1, head))
      EXPECT_LT(ranksOf(ranked)[head][position].item<std::int64_t>(), 18);
  std::filesystem::remove(file);
}

TEST(AttentionPredictor, RefusesWhatIsNotForThisModel) {
  const auto file = savedAs("kvista-attention-predictor-refused.safetensors", AttentionPredictor::initial(1));
  EXPECT_TRUE(loadAttentionPredictor(file, ""));
  EXPECT_EQ(errorOf(loadAttentionPredictor(file, "fedcba9876543210")).code, ErrorCode::invalidArgument);
  const PolicyRequest request{
      .policy = "attention-predictor", .options = {{"gate", file.string()}}, .model = "fedcba9876543210"};
  EXPECT_EQ(errorOf(PolicyRun::begin(shortDecoder(), nullptr, request, 60)).code, ErrorCode::invalidArgument);
  EXPECT_NE(errorOf(PolicyRun::begin(shortDecoder(), nullptr, {.policy = "attention-predictor"}, 60))
                .hint.find("kvista gate"),
            std::string::npos);
  AttentionPredictor broken = AttentionPredictor::initial(1);
  broken.secondBias = broken.secondBias + std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(errorOf(loadAttentionPredictor(savedAs(file.filename().string(), broken), "")).code,
            ErrorCode::corruptFile);
  std::ofstream(file) << "no predictor";
  EXPECT_EQ(errorOf(loadAttentionPredictor(file, "")).code, ErrorCode::corruptFile);
  std::filesystem::remove(file);
  EXPECT_EQ(errorOf(fitAttentionPredictor(shortDecoder(), demoWindows(2).ids, demoWindows(1, 2).ids, {})).code,
            ErrorCode::invalidArgument);  // of 64 tokens
}

}  // namespace
}  // namespace kvista::test
