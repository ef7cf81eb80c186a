// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/statistics_pass.h"

#include <ATen/ops/full.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/amount.h"
#include "core/calibration/layer_accumulator.h"
#include "core/calibration/summing_pass.h"
#include "core/io/json_file.h"
#include "core/model/tensor_file.h"

namespace kvista {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kSaveEvery = std::chrono::seconds(20);
// A large state is kept less often, so that writing it takes no more than a tenth of the time.
constexpr int kTimesItsWriting = 10;
constexpr std::int64_t kBytesASecond = 1'000'000'000;  // of a usual disk
constexpr const char* kDescription = "kvista.partial_statistics";

/// What a pass has summed so far.
struct RunningPass {
  std::vector<LayerAccumulator> layers;
  std::int64_t windows = 0;  ///< Of those that are this member's.
  double lossSum = 0;
  double seconds = 0;

  /// About how long it takes to write.
  [[nodiscard]] std::chrono::milliseconds writingTime() const {
    std::int64_t bytes = 0;
    for (const LayerAccumulator& layer : layers) bytes += layer.sumBytes();
    return std::chrono::milliseconds(bytes / (kBytesASecond / 1000));
  }
};

Result<void> save(const RunningPass& pass, const std::filesystem::path& file, const std::string& key) {
  NamedTensors tensors;
  for (std::size_t i = 0; i < pass.layers.size(); ++i) pass.layers[i].appendState(fmt::format("{}.", i), tensors);
  const nlohmann::json description = {
      {"key", key}, {"windows", pass.windows}, {"lossSum", pass.lossSum}, {"seconds", pass.seconds}};
  return writeTensorFile(file, tensors, {{kDescription, description.dump()}}, Task{});
}

/// Takes up a pass that was cut off. A file of another pass, or a damaged one, is no reason to fail: the pass starts
/// anew.
void restore(RunningPass& pass, const std::filesystem::path& file, const std::string& key) {
  if (file.empty()) return;
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

/// Keeps a pass now and then, where it is to be kept.
class Keeper {
 public:
  Keeper(std::filesystem::path file, std::string key, std::int64_t kept)
      : file_(std::move(file)), key_(std::move(key)), kept_(kept) {}

  Result<void> keep(const RunningPass& pass) {
    if (file_.empty() || pass.windows == kept_) return {};
    KVISTA_CHECK(save(pass, file_, key_));
    last_ = Clock::now();
    kept_ = pass.windows;
    return {};
  }
  Result<void> keepNowAndThen(const RunningPass& pass) {
    if (file_.empty() ||
        Clock::now() - last_ < std::max<Clock::duration>(kSaveEvery, pass.writingTime() * kTimesItsWriting))
      return {};
    return keep(pass);
  }
  /// Whatever took less to sum than to write is summed again.
  Result<void> keepWhole(const RunningPass& pass) {
    if (Clock::now() - last_ < pass.writingTime()) return {};
    return keep(pass);
  }

 private:
  std::filesystem::path file_;
  std::string key_;
  std::int64_t kept_;  ///< Windows of the pass as it was kept.
  Clock::time_point last_ = Clock::now();
};

std::filesystem::path ofMember(std::filesystem::path partialFile, const ProcessGroup& processes) {
  if (!processes.isAlone() && !partialFile.empty())
    partialFile += fmt::format(".{}of{}", processes.rank(), processes.size());
  return partialFile;
}

/// The statistics of all members' windows.
Result<Statistics> finish(const RunningPass& pass, std::int64_t windows, const ProcessGroup& processes,
                          const Task& task) {
  Statistics statistics;
  statistics.seconds = pass.seconds;
  const at::Tensor loss = at::full({1}, pass.lossSum, at::kDouble);
  KVISTA_CHECK(processes.sum(loss, task));
  statistics.lossSum = loss.item<double>();
  for (const LayerAccumulator& layer : pass.layers) {
    const auto start = Clock::now();
    KVISTA_ASSIGN(const LayerAccumulator all, layer.together(processes, task));
    statistics.seconds += std::chrono::duration<double>(Clock::now() - start).count();
    statistics.layers.push_back(all.finish(windows));
  }
  return statistics;
}

}  // namespace

Result<Statistics> runStatisticsPass(const Decoder& decoder, const std::string& modelHash, const TokenWindows& windows,
                                     const StatisticsOptions& options, const Task& task,
                                     const ProcessGroup& processes) {
  const ModelShape& shape = decoder.shape();
  const std::int64_t windowCount = windows.ids.size(0);
  const std::int64_t window = windows.ids.size(1);
  const bool ofInput = sumsInputs(shape);
  const std::int64_t rowsPerWindow = sampleRowsPerWindow(shape, windowCount, window);
  // In whole steps, so that tiles in float32 are those of one process.
  const Share own = processes.shareOf(windowCount, std::max<std::int64_t>(1, options.tokensPerBatch / window));

  RunningPass pass;
  for (int layer = 0; layer < shape.layers; ++layer)
    pass.layers.emplace_back(shape, ofInput, options.gradients, rowsPerWindow, decoder.options().device);
  std::string key =
      fmt::format("{} {} {} {}", modelHash, windows.hash, options.gradients, c10::toString(decoder.options().dtype));
  KVISTA_CHECK(processes.agree("The model and the options of calibration", key, task));
  const std::filesystem::path partialFile = ofMember(options.partialFile, processes);
  if (!processes.isAlone()) key += fmt::format(" {}+{}", own.begin, own.count);
  restore(pass, partialFile, key);
  Keeper keeper(partialFile, key, pass.windows);
  // Whoever is left when a member is gone keeps what it has.
  const auto kept = [&](Result<void> result) -> Result<void> {
    if (result || processes.isAlone() || partialFile.empty()) return result;
    KVISTA_CHECK(keeper.keep(pass));
    if (result.error().code == ErrorCode::device)
      result.error().hint = fmt::format(
          "What the others have summed is kept; start the same command again with {} processes, and it goes on from "
          "there.",
          processes.size());
    return result;
  };

  const auto start = Clock::now();
  const double secondsBefore = pass.seconds;
  SummingPass summing(decoder, windows.ids, options.gradients, options.tokensPerBatch, pass.layers);
  while (pass.windows < own.count) {
    std::string stage = "calibrate" + processes.label();
    if (summing.tokensPerStep() < options.tokensPerBatch)
      stage += fmt::format(", {} at a time as memory ran out", amount(summing.tokensPerStep() / window, "window"));
    task.progress(stage, static_cast<std::uint64_t>(pass.windows * window),
                  static_cast<std::uint64_t>(own.count * window), "tokens");
    KVISTA_CHECK(kept(processes.check()));
    const std::int64_t batch = std::min(summing.windowsAtATime(), own.count - pass.windows);
    KVISTA_ASSIGN(const double loss, summing.add(own.begin + pass.windows, batch, task));
    pass.lossSum += loss;
    pass.windows += batch;
    pass.seconds = secondsBefore + std::chrono::duration<double>(Clock::now() - start).count();
    // Saved between batches only: one that is cancelled in its middle has reached some layers and not others.
    KVISTA_CHECK(keeper.keepNowAndThen(pass));
  }
  KVISTA_CHECK(kept(processes.meet(task, [&] { return keeper.keepNowAndThen(pass); })));
  pass.seconds = secondsBefore + std::chrono::duration<double>(Clock::now() - start).count();
  KVISTA_CHECK(keeper.keepWhole(pass));

  auto finished = finish(pass, windowCount, processes, task);
  if (!finished) {
    KVISTA_CHECK(kept(tl::unexpected(finished.error())));
    return finished;
  }
  Statistics& statistics = *finished;
  statistics.shape = shape;
  statistics.modelHash = modelHash;
  statistics.tokensHash = windows.hash;
  statistics.ofInput = ofInput;
  statistics.gradients = options.gradients;
  statistics.windows = windowCount;
  statistics.tokens = windowCount * window;
  statistics.device = decoder.options().device.str();
  if (!processes.isAlone())
    statistics.device = fmt::format("{} processes, the first on {}", processes.size(), statistics.device);
  statistics.tokenIds = windows.ids.to(at::kInt).contiguous();
  return finished;
}

Result<void> forgetPass(const std::filesystem::path& partialFile, const Task& task, const ProcessGroup& processes) {
  if (partialFile.empty()) return {};
  if (!processes.isAlone()) KVISTA_CHECK(processes.meet(task));
  std::error_code ignored;  // a file that was never written is nothing to complain about
  std::filesystem::remove(ofMember(partialFile, processes), ignored);
  return {};
}

}  // namespace kvista
