// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/statistics_pass.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/calibration/layer_accumulator.h"
#include "core/calibration/summing_pass.h"
#include "core/io/json_file.h"
#include "core/model/tensor_file.h"

namespace kvista {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kSaveEvery = std::chrono::seconds(20);
constexpr const char* kDescription = "kvista.partial_statistics";
/// What a pass has summed so far.
struct RunningPass {
  std::vector<LayerAccumulator> layers;
  std::int64_t windows = 0;
  double lossSum = 0;
  double seconds = 0;
};

Result<void> save(const RunningPass& pass, const std::filesystem::path& file, const std::string& key) {
  NamedTensors tensors;
  for (std::size_t i = 0; i < pass.layers.size(); ++i) pass.layers[i].appendState(fmt::format("{}.", i), tensors);
  const nlohmann::json description = {
      {"key", key}, {"windows", pass.windows}, {"lossSum", pass.lossSum}, {"seconds", pass.seconds}};
  return writeTensorFile(file, tensors, {{kDescription, description.dump()}}, Task{});
}

/// Takes up a pass that was cut off. A file of another pass, or a damaged one, is no reason to fail: the pass starts anew.
void restore(RunningPass& pass, const std::filesystem::path& file, const std::string& key) {
  const auto reader = TensorFile::open(file);
  if (!reader) return;
  const auto description = parseJson(reader->text(kDescription), file.string());
  if (!description || !description->is_object() || description->value("key", "") != key) return;
  RunningPass restored = pass;
  restored.windows = description->value("windows", std::int64_t{0});
  restored.lossSum = description->value("lossSum", 0.0);
  restored.seconds = description->value("seconds", 0.0);
  for (std::size_t i = 0; i < restored.layers.size(); ++i)
    if (!restored.layers[i].restoreState(fmt::format("{}.", i), *reader)) return;
  pass = std::move(restored);
}

}  // namespace

Result<Statistics> runStatisticsPass(const Decoder& decoder, const std::string& modelHash, const TokenWindows& windows,
                                     const StatisticsOptions& options, const Task& task) {
  const ModelShape& shape = decoder.shape();
  const std::int64_t windowCount = windows.ids.size(0);
  const std::int64_t window = windows.ids.size(1);
  const bool ofInput = sumsInputs(shape);
  const std::int64_t rowsPerWindow = sampleRowsPerWindow(shape, windowCount, window);

  RunningPass pass;
  for (int layer = 0; layer < shape.layers; ++layer)
    pass.layers.emplace_back(shape, ofInput, options.gradients, rowsPerWindow, decoder.options().device);
  const std::string key = fmt::format("{} {} {} {}", modelHash, windows.hash, options.gradients, c10::toString(decoder.options().dtype));
  if (!options.partialFile.empty()) restore(pass, options.partialFile, key);

  const auto start = Clock::now();
  const double secondsBefore = pass.seconds;
  auto lastSave = start;

  SummingPass summing(decoder, windows.ids, options.gradients, options.tokensPerBatch, pass.layers);
  while (pass.windows < windowCount) {
    const bool ranOut = summing.tokensPerStep() < options.tokensPerBatch;
    task.progress(ranOut ? fmt::format("calibrate, {} windows at a time as memory ran out", summing.tokensPerStep() / window) : "calibrate", static_cast<std::uint64_t>(pass.windows * window), static_cast<std::uint64_t>(windowCount * window),
                  "tokens");
    const std::int64_t batch = std::min(summing.windowsAtATime(), windowCount - pass.windows);
    KVISTA_ASSIGN(const double loss, summing.add(pass.windows, batch, task));
    pass.lossSum += loss;
    pass.windows += batch;
    pass.seconds = secondsBefore + std::chrono::duration<double>(Clock::now() - start).count();
    // Saved between batches only: one that is cancelled in its middle has reached some layers and not others.
    if (!options.partialFile.empty() && Clock::now() - lastSave > kSaveEvery) {
      KVISTA_CHECK(save(pass, options.partialFile, key));
      lastSave = Clock::now();
    }
  }

  Statistics statistics;
  statistics.shape = shape;
  statistics.modelHash = modelHash;
  statistics.tokensHash = windows.hash;
  statistics.ofInput = ofInput;
  statistics.gradients = options.gradients;
  statistics.windows = windowCount;
  statistics.tokens = windowCount * window;
  statistics.lossSum = pass.lossSum;
  statistics.device = decoder.options().device.str();
  statistics.seconds = pass.seconds;
  statistics.tokenIds = windows.ids.to(at::kInt).contiguous();
  for (const LayerAccumulator& layer : pass.layers) statistics.layers.push_back(layer.finish(windowCount));
  if (!options.partialFile.empty()) {
    std::error_code ignored;  // a file that was never written is nothing to complain about
    std::filesystem::remove(options.partialFile, ignored);
  }
  return statistics;
}

}  // namespace kvista
