// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// The small trained model of resources/demo with its text and statistics, loaded once a program.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/calibration/statistics_pass.h"
#include "core/calibration/token_source.h"
#include "core/io/checkpoint.h"
#include "core/model/decoder.h"
#include "core/text/model_tokenizer.h"

namespace kvista::test {

constexpr std::int64_t kWindow = 64;

/// The value of a Result; a test failure naming the error otherwise.
template <class T>
T valueOf(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message + " " + result.error().detail);
  return *std::move(result);
}

/// The error of a Result that must be one.
template <class T>
Error errorOf(const Result<T>& result) {
  if (result) throw std::runtime_error("accepted, where an error was expected");
  return result.error();
}

inline const std::string kDemoFolder = KVISTA_SOURCE_DIR "/resources/demo";
inline const std::string kCalibrationText = kDemoFolder + "/text/calibration.txt";
inline const std::string kEvaluationText = kDemoFolder + "/text/evaluation.txt";

inline const Checkpoint& demoCheckpoint() {
  static const Checkpoint checkpoint = valueOf(openCheckpoint(kDemoFolder + "/model"));
  return checkpoint;
}

inline const Tokenizer& demoTokenizer() {
  static const Tokenizer tokenizer = valueOf(tokenizerOf(demoCheckpoint()));
  return tokenizer;
}

/// The whole model: 8 layers, 8 KV heads of 32, hidden size 256.
inline const Decoder& demoDecoder() {
  static const auto decoder = valueOf(Decoder::load(demoCheckpoint(), {}, {}));
  return *decoder;
}

/// Its first two layers, where the number of layers does not matter.
inline const Decoder& shortDecoder() {
  static const auto decoder = [] {
    Checkpoint checkpoint = demoCheckpoint();
    checkpoint.config["num_hidden_layers"] = 2;
    return valueOf(Decoder::load(checkpoint, {}, {}));
  }();
  return *decoder;
}

inline TextRecipe demoRecipe(std::int64_t windows, std::int64_t skipWindows = 0,
                             const std::string& text = kCalibrationText) {
  TextRecipe recipe;
  recipe.paths = {text};
  recipe.window = kWindow;
  recipe.windows = windows;
  recipe.skipWindows = skipWindows;
  return recipe;
}

inline TokenWindows demoWindows(std::int64_t windows, std::int64_t skipWindows = 0,
                                const std::string& text = kCalibrationText) {
  return valueOf(readTokenWindows(demoTokenizer(), demoRecipe(windows, skipWindows, text), {}, {}));
}

inline Statistics statisticsOf(const Decoder& decoder, const TokenWindows& windows, bool gradients = true) {
  StatisticsOptions options;
  options.gradients = gradients;
  options.tokensPerBatch = 2 * kWindow;
  return valueOf(runStatisticsPass(decoder, "0123456789abcdef", windows, options, {}));
}

/// Of the first 12 windows of the calibration text.
inline const Statistics& demoStatistics() {
  static const Statistics statistics = statisticsOf(demoDecoder(), demoWindows(12));
  return statistics;
}

inline const Statistics& shortStatistics() {
  static const Statistics statistics = statisticsOf(shortDecoder(), demoWindows(12));
  return statistics;
}

inline double relativeDifference(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wide = b.to(at::kDouble);
  return a.to(at::kDouble).sub(wide).norm().item<double>() / wide.norm().item<double>();
}

inline double largestDifference(const at::Tensor& a, const at::Tensor& b) {
  return a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item<double>();
}

/// Standard normal numbers in float64, the same for the same seed.
inline at::Tensor gaussian(const std::vector<std::int64_t>& sizes, unsigned seed) {
  std::int64_t count = 1;
  for (const std::int64_t size : sizes) count *= size;
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = normal(generator);
  return at::tensor(values, at::kDouble).view(sizes);
}

}  // namespace kvista::test
