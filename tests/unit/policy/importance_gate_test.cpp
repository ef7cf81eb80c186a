// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/importance_gate.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/policy/train_predictor.h"
#include "tests/unit/policy/policy_case.h"

namespace kvista::test {
namespace {

TEST(GateFeatures, DoNotDependOnWhereATokenStands) {
  const at::Tensor raw = gaussian({5, 256}, 3).to(at::kFloat);
  const auto cacheAt = [&](std::int64_t position) {
    LiveLayer layer;
    layer.keys =
        shortDecoder().rotateKeys(1, raw, at::full({5}, position, at::kLong), 100).transpose(0, 1).unsqueeze(0);
    layer.values = gaussian({1, 8, 5, 32}, 4).to(at::kFloat);
    return layer;
  };
  const at::Tensor here = gateFeatures(shortDecoder(), 1, cacheAt(2)),
                   there = gateFeatures(shortDecoder(), 1, cacheAt(77));
  EXPECT_EQ(here.sizes(), (std::vector<std::int64_t>{1, 8, 5, 32 + 16 + 3}));  // values, rotary pairs, two lengths, 1
  EXPECT_LT(largestDifference(here, there), 1e-4);
  EXPECT_GT(largestDifference(cacheAt(2).keys, cacheAt(77).keys), 0.1);
}

TEST(ImportanceGate, ForetellsScoresAndIsReadBackAsItWasWritten) {
  const at::Tensor ids = demoWindows(6).ids, heldOut = demoWindows(2, 6).ids;
  const FittedGate fitted = valueOf(fitGate(shortDecoder(), ids, heldOut, 1e-4, {}));
  EXPECT_GT(fitted.correlation, 0.3);
  EXPECT_LE(fitted.correlation, 1);
  const FittedGate stiff = valueOf(fitGate(shortDecoder(), ids, heldOut, 1e3, {}));
  EXPECT_LT(stiff.gate.weights[0].norm().item<double>(), 0.1 * fitted.gate.weights[0].norm().item<double>());

  const auto file = std::filesystem::temp_directory_path() / "kvista-importance-gate-test.safetensors";
  ASSERT_TRUE(saveGate(file, fitted.gate, "0123456789abcdef", {}));
  const ImportanceGate read = valueOf(loadGate(file, shortDecoder(), {}));
  EXPECT_TRUE(loadGate(file, shortDecoder(), "0123456789abcdef"));
  EXPECT_NE(errorOf(loadGate(file, shortDecoder(), "fedcba9876543210")).message.find("is of another model"),
            std::string::npos);
  EXPECT_EQ(
      errorOf(PolicyRun::begin(
                  shortDecoder(), nullptr,
                  {.policy = "fast-kvzip", .options = {{"gate", file.string()}}, .model = "fedcba9876543210"}, 60))
          .code,
      ErrorCode::invalidArgument);
  PolicyCase made =
      PolicyCase::read({.policy = "fast-kvzip", .options = {{"gate", file.string()}, {"window", "5"}}, .share = 0.3});
  const at::Tensor scores = read.score(shortDecoder(), 1, made.cache.layers[1]);
  EXPECT_TRUE(scores.equal(fitted.gate.score(shortDecoder(), 1, made.cache.layers[1])));
  made.act();
  EXPECT_LE(made.run.bytes(made.cache)[0].item<std::int64_t>(), 0.3 * static_cast<double>(fullBytes(60)));
  EXPECT_EQ(errorOf(loadGate(file, demoDecoder(), {})).code, ErrorCode::corruptFile);  // of fewer layers
  std::ofstream(file) << "no gate";
  EXPECT_EQ(errorOf(loadGate(file, shortDecoder(), {})).code, ErrorCode::corruptFile);
  std::filesystem::remove(file);
}

TEST(TrainPredictor, IsAskedAboutWindowsThatItHasNotSeen) {
  const auto file = std::filesystem::temp_directory_path() / "kvista-train-predictor-test.safetensors";
  const at::Tensor ids = demoWindows(9).ids;
  const TrainedPredictor trained =
      valueOf(trainPredictor(PredictorKind::fastKvzip, shortDecoder(), ids, 1e-4, file, "0123456789abcdef", {}));
  EXPECT_EQ(trained.windows, 8);
  EXPECT_EQ(trained.heldOutWindows, 1);
  const FittedGate same = valueOf(fitGate(shortDecoder(), ids.narrow(0, 0, 8), ids.narrow(0, 8, 1), 1e-4, {}));
  EXPECT_EQ(trained.correlation, same.correlation);
  EXPECT_TRUE(valueOf(loadGate(file, shortDecoder(), {})).weights[0].equal(same.gate.weights[0]));
  std::filesystem::remove(file);
  EXPECT_EQ(
      errorOf(trainPredictor(PredictorKind::fastKvzip, shortDecoder(), ids.narrow(0, 0, 1), 1e-4, file, "", {})).code,
      ErrorCode::invalidArgument);
  EXPECT_FALSE(std::filesystem::exists(file));
}

}  // namespace
}  // namespace kvista::test
