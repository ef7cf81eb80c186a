// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/virtual_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/io/checkpoint.h"
#include "core/io/float_conversion.h"
#include "temporary_folder.h"

namespace kvista {
namespace {

using test::TemporaryFolder;
using test::writeText;
using ::testing::HasSubstr;

std::vector<std::uint16_t> numbersOf(std::uint64_t seed, std::string_view name, const RandomTensor& tensor,
                                     std::uint64_t first, std::size_t count) {
  std::vector<std::uint16_t> bits(count);
  fillRandom(seed, name, tensor, first, bits);
  return bits;
}

TEST(VirtualTensors, NumbersAreTheSameOnEveryMachineAndInEveryRelease) {
  // Kept from the first run: whoever changes one of these changes every virtual model there is.
  EXPECT_THAT(numbersOf(7, "w", {{8}, 0, 1}, 0, 4), ::testing::ElementsAre(15824, 15627, 48908, 16300));
  EXPECT_THAT(numbersOf(7, "w", {{8}, 1, 0.1F}, 4096, 3), ::testing::ElementsAre(16227, 16243, 16235));
}

TEST(VirtualTensors, AnyPartIsThatPartOfTheWhole) {
  const RandomTensor tensor{{3'000'000}, 0, 0.02F};
  const auto whole = numbersOf(1, "a.weight", tensor, 0, 3'000'000);  // enough to be spread over cores
  for (const auto& [first, count] : {std::pair{0, 1}, {4095, 2}, {1'000'001, 9000}, {2'999'999, 1}})
    EXPECT_EQ(numbersOf(1, "a.weight", tensor, first, count),
              std::vector(whole.begin() + first, whole.begin() + first + count));
  EXPECT_NE(numbersOf(2, "a.weight", tensor, 0, 100), std::vector(whole.begin(), whole.begin() + 100));
  EXPECT_NE(numbersOf(1, "b.weight", tensor, 0, 100), std::vector(whole.begin(), whole.begin() + 100));
}

TEST(VirtualTensors, NumbersHaveTheMeanAndDeviationAskedForAndNoMemory) {
  constexpr std::size_t kCount = 1 << 20;
  const auto bits = numbersOf(3, "x", {{}, 2, 0.5F}, 0, kCount);
  double sum = 0, squares = 0, neighbours = 0, blocks = 0;
  std::vector<double> numbers;
  for (const std::uint16_t one : bits) numbers.push_back(floatFromBfloat16(one) - 2.0);
  for (std::size_t i = 0; i < kCount; ++i) {
    sum += numbers[i];
    squares += numbers[i] * numbers[i];
    neighbours += numbers[i] * numbers[(i + 1) % kCount];
    blocks += numbers[i] * numbers[(i + 4096) % kCount];
    ASSERT_LE(std::abs(numbers[i]), 3.5 * 0.5);
  }
  // Of a million draws the mean deviates by 0.0005, a correlation by 0.001; five times that never happens by chance.
  EXPECT_NEAR(sum / kCount, 0, 0.0025);
  EXPECT_NEAR(std::sqrt(squares / kCount), 0.5, 0.002);
  EXPECT_NEAR(neighbours / squares, 0, 0.005);
  EXPECT_NEAR(blocks / squares, 0, 0.005);
}

class VirtualFolder : public ::testing::Test {
 protected:
  void SetUp() override { writeText(folder_ / "config.json", R"({"model_type": "llama"})"); }
  Result<Checkpoint> open(const std::string& marker) {
    writeText(folder_ / kVirtualTensorsName, marker);
    return openCheckpoint(folder_.path());
  }
  TemporaryFolder folder_;
};

TEST_F(VirtualFolder, IsACheckpointWhoseTensorsAreTheGeneratorsNumbers) {
  const RandomTensor tensor{{2, 3}, 1, 0.25F};
  const auto checkpoint = open(toJson({.seed = 18446744073709551615U, .tensors = {{"w", tensor}}}).dump());
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  const TensorInfo& info = checkpoint->tensors->tensors().at("w");
  EXPECT_EQ(info.type, DataType::bf16);
  EXPECT_EQ(info.shape, tensor.shape);
  std::vector<float> read(6), expected;
  ASSERT_TRUE(checkpoint->tensors->readFloat32(info, read));
  for (const std::uint16_t bits : numbersOf(18446744073709551615U, "w", tensor, 0, 6))
    expected.push_back(floatFromBfloat16(bits));
  EXPECT_EQ(read, expected);
  EXPECT_EQ(checkpoint->tensors->readFloat32(info, std::span(read).first(5)).error().code, ErrorCode::invalidArgument);
  EXPECT_TRUE(openCheckpoint(folder_ / kVirtualTensorsName)) << "the file stands for its folder";
}

TEST_F(VirtualFolder, HostileFilesAreRefusedEachWithItsOwnSentence) {
  const auto ofTensor = [](const std::string& tensor) {
    return R"({"kvista_virtual": 1, "seed": 0, "tensors": {"w": )" + tensor + "}}";
  };
  const std::string rest = R"(, "mean": 0, "deviation": 1})";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[]", "an array"},
      {"{", "kvista-virtual.json"},
      {R"({"seed": 0})", "version 1"},
      {R"({"kvista_virtual": 2, "seed": 0, "tensors": {}})", "version 1"},
      {R"({"kvista_virtual": 1, "seed": -1, "tensors": {}})", "\"seed\""},
      {R"({"kvista_virtual": 1, "seed": 0, "tensors": []})", "\"tensors\""},
      {R"({"kvista_virtual": 1, "seed": 0, "tensors": {}})", "\"tensors\""},
      {ofTensor("7"), "a number"},
      {ofTensor(R"({"shape": [])" + rest), "no shape of 1 to 8 lengths"},
      {ofTensor(R"({"shape": [1,1,1,1,1,1,1,1,1])" + rest), "no shape of 1 to 8 lengths"},
      {ofTensor(R"({"shape": [0])" + rest), "no whole number above 0"},
      {ofTensor(R"({"shape": [-4])" + rest), "no whole number above 0"},
      {ofTensor(R"({"shape": [1.5])" + rest), "no whole number above 0"},
      {ofTensor(R"({"shape": [4294967296, 4294967296])" + rest), "more numbers than can be counted"},
      {ofTensor(R"({"shape": [2], "deviation": 1})"), "no number as \"mean\""},
      {ofTensor(R"({"shape": [2], "mean": 0, "deviation": "wide"})"), "no number as \"deviation\""},
      {ofTensor(R"({"shape": [2], "mean": 1e300, "deviation": 1})"), "at most 1e+30"},
  };
  for (const auto& [marker, sentence] : cases) {
    const auto opened = open(marker);
    ASSERT_FALSE(opened) << marker;
    EXPECT_EQ(opened.error().code, ErrorCode::corruptFile) << marker;
    EXPECT_THAT(opened.error().message, HasSubstr(sentence)) << marker;
  }
}

}  // namespace
}  // namespace kvista
