// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/summing_pass.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/calibration/statistics_pass.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr std::int64_t kWindows = 8;
constexpr std::size_t kLogitsOfWindow = std::size_t{kWindow} * 4096 * sizeof(float);  // 1 MB

/// While this lives, tensors on the CPU get memory only where `hasRoom` says so.
class ScarceMemory final : public c10::Allocator {
 public:
  explicit ScarceMemory(std::function<bool(std::size_t)> hasRoom)
      : hasRoom_(std::move(hasRoom)), real_(c10::GetCPUAllocator()) {
    c10::SetCPUAllocator(this, 255);
  }
  ~ScarceMemory() override { c10::SetCPUAllocator(real_, 255); }
  ScarceMemory(const ScarceMemory&) = delete;
  ScarceMemory& operator=(const ScarceMemory&) = delete;
  c10::DataPtr allocate(std::size_t bytes) override {
    if (!hasRoom_(bytes)) {
      ++refused;
      // Without a backtrace, which would take most of the tests' time.
      throw c10::OutOfMemoryError("made up: no room for " + std::to_string(bytes) + " bytes", c10::Backtrace());
    }
    return real_->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return real_->raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { real_->copy_data(to, from, bytes); }
  std::atomic<int> refused = 0;

 private:
  std::function<bool(std::size_t)> hasRoom_;
  c10::Allocator* real_;
};

const Decoder& streamedDecoder() {
  static const auto decoder = [] {
    Checkpoint checkpoint = demoCheckpoint();
    checkpoint.config["num_hidden_layers"] = 2;
    ComputeOptions options;
    options.streamLayers = true;
    return valueOf(Decoder::load(checkpoint, options, {}));
  }();
  return *decoder;
}

/// The short model with one weight replaced by `value` everywhere.
class OneWeightReplaced final : public TensorStore {
 public:
  OneWeightReplaced(std::string name, float value) : name_(std::move(name)), value_(value) {}
  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override {
    return real_->tensors();
  }
  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override {
    return tensor.name == name_ ? std::span<const std::byte>{} : real_->raw(tensor);
  }
  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override {
    if (tensor.name != name_) return real_->readFloat32(tensor, out);
    std::ranges::fill(out, value_);
    return {};
  }

 private:
  std::shared_ptr<const TensorStore> real_ = demoCheckpoint().tensors;
  std::string name_;
  float value_;
};

std::shared_ptr<const Decoder> decoderWith(const std::string& tensor, float value) {
  Checkpoint checkpoint = demoCheckpoint();
  checkpoint.config["num_hidden_layers"] = 2;
  checkpoint.tensors = std::make_shared<OneWeightReplaced>(tensor, value);
  return valueOf(Decoder::load(checkpoint, {}, {}));
}

struct Said {
  std::vector<std::string> stages;
  Task task{{}, [this](const ProgressReport& report) { stages.push_back(report.stage); }};
};

std::vector<LayerAccumulator> emptySums(bool gradients = true) {
  const ModelShape& shape = shortDecoder().shape();
  std::vector<LayerAccumulator> sums;  // copies of one would share their tensors
  for (int layer = 0; layer < 2; ++layer)
    sums.emplace_back(shape, true, gradients, sampleRowsPerWindow(shape, kWindows, kWindow), at::kCPU);
  return sums;
}

void expectSameSums(const LayerStatistics& found, const LayerStatistics& expected) {
  EXPECT_LE(relativeDifference(found.secondMoment(), expected.secondMoment()), 1e-6);
  EXPECT_LE(relativeDifference(found.sum, expected.sum), 1e-6);
  EXPECT_LE(relativeDifference(found.rotatedKeys, expected.rotatedKeys), 1e-6);
  EXPECT_LE(relativeDifference(found.fisherKeys, expected.fisherKeys), 1e-5);
  EXPECT_LE(relativeDifference(found.sinkFisherValues, expected.sinkFisherValues), 1e-5);
  EXPECT_NEAR(found.keyFisherScore, expected.keyFisherScore, 1e-5 * expected.keyFisherScore);
  ASSERT_TRUE(found.samplePositions.equal(expected.samplePositions));
  EXPECT_LE(relativeDifference(found.sample, expected.sample), 1e-2);  // bfloat16
}

TEST(SummingPass, WhereMemoryRunsOutHalfAsManyWindowsGoThroughAndItIsSaid) {
  StatisticsOptions options;
  options.tokensPerBatch = kWindows * kWindow;
  Said said;
  const Decoder& decoder = shortDecoder();
  const TokenWindows windows = demoWindows(kWindows);
  const auto found = [&] {
    const ScarceMemory scarce([](std::size_t bytes) { return bytes < 3 * kLogitsOfWindow; });
    return runStatisticsPass(decoder, "0123456789abcdef", windows, options, said.task);
  }();
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(said.stages, Contains("memory ran out with 8 windows at a time; 4 at a time from here"));
  EXPECT_THAT(said.stages, Contains("memory ran out with 4 windows at a time; 2 at a time from here"));
  expectSameSums(found->layers[1], statisticsOf(shortDecoder(), demoWindows(kWindows)).layers[1]);
}

/// Wherever in the pass memory runs out, be it behind layers that had their windows already or in the middle of sums.
TEST(SummingPass, NothingIsSummedTwiceOrNotAtAllWhereverMemoryRunsOut) {
  const at::Tensor ids = demoWindows(kWindows).ids;
  for (const Decoder* decoder : {&shortDecoder(), &streamedDecoder()}) {
    std::vector<LayerAccumulator> expected = emptySums();
    SummingPass undisturbed(*decoder, ids, true, kWindows * kWindow, expected);
    const double loss = valueOf(undisturbed.add(0, kWindows, {}));
    const LayerStatistics sums[] = {expected[0].finish(kWindows), expected[1].finish(kWindows)};
    int failures = 0;
    bool ranOut = true;
    for (int granted = 0; ranOut;
         granted += 17) {  // the first so many large tensors get their memory, the next one does not
      SCOPED_TRACE(testing::Message() << (decoder->options().streamLayers ? "streamed, " : "resident, ") << granted);
      std::vector<LayerAccumulator> found = emptySums();
      SummingPass pass(*decoder, ids, true, kWindows * kWindow, found);
      std::atomic<int> large = 0;
      {
        ScarceMemory scarce([&](std::size_t bytes) { return bytes < 200'000 || large++ != granted; });
        const auto added = pass.add(0, kWindows, {});
        ASSERT_TRUE(added) << added.error().message;
        EXPECT_NEAR(*added, loss, 1e-6 * loss);
        ranOut = scarce.refused > 0;
      }
      failures += ranOut ? 1 : 0;
      EXPECT_EQ(pass.tokensPerStep(), (ranOut ? kWindows / 2 : kWindows) * kWindow);
      for (std::size_t layer = 0; layer < 2; ++layer) expectSameSums(found[layer].finish(kWindows), sums[layer]);
    }
    EXPECT_GT(failures, 5);
  }
}

TEST(SummingPass, OneWindowThatHasNoRoomIsAnError) {
  std::vector<LayerAccumulator> sums = emptySums();
  const at::Tensor ids = demoWindows(kWindows).ids;
  SummingPass pass(shortDecoder(), ids, true, kWindows * kWindow, sums);
  const ScarceMemory scarce([](std::size_t bytes) { return bytes < kLogitsOfWindow / 2; });
  EXPECT_EQ(errorOf(pass.add(0, kWindows, {})).code, ErrorCode::outOfMemory);
}

/// A weight so large that what it gives is infinite: the file is sound, the numbers of a pass are not.
TEST(SummingPass, NumbersThatAreNotFiniteAreNamedByLayerWindowAndToken) {
  const DecoderDescription description = shortDecoder().description();
  for (const auto& [tensor, what] :
       {std::pair{description.layers[1].attention.value.weight, "The values of layer 1 are"},
        {description.layers[0].feedForward.experts[0].down.weight, "The outputs of layer 0 are"},
        {description.layers[1].feedForward.experts[0].down.weight, "The outputs of layer 1 are"}}) {
    const auto overflowing = decoderWith(tensor, 3e38F);
    for (const bool gradients : {true, false}) {
      std::vector<LayerAccumulator> sums = emptySums(gradients);
      SummingPass pass(*overflowing, demoWindows(kWindows).ids, gradients, 2 * kWindow, sums);
      const Error error = errorOf(pass.add(4, 2, {}));
      EXPECT_EQ(error.code, ErrorCode::numerical) << error.detail;
      EXPECT_THAT(error.message, HasSubstr(what));
      EXPECT_THAT(error.message, HasSubstr("token 0 of window 4 of the text on."));
    }
  }
}

}  // namespace
}  // namespace kvista::test
