// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/trellis.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "core/model/packed_records.h"
#include "core/plan/spectrum.h"

namespace kvista::test {
namespace {

std::vector<float> meaning(const std::vector<std::uint8_t>& codes, int bits) {
  std::vector<float> numbers(codes.size());
  trellisLevels(codes, bits, numbers);
  return numbers;
}

TEST(Trellis, LevelsByHand) {
  // Of 1 bit, levels 2 (u ^ u[-2] ^ u[-3]) + u[-1] of 0 to 3. Codes 1 0 1 1 0: 2; 0 + 1; 2 (1 ^ 1); 2 (1 ^ 0 ^ 1) + 1;
  // 2 (0 ^ 1 ^ 0) + 1.
  EXPECT_EQ(meaning({1, 0, 1, 1, 0}, 1), (std::vector<float>{0.5F, -0.5F, -1.5F, -0.5F, 1.5F}));
  // Of 3 bits, 4 (code / 2) more, of 0 to 15. Codes 7 4: 12 + 2; 8 + 0 + 1.
  EXPECT_EQ(meaning({7, 4}, 3), (std::vector<float>{6.5F, 1.5F}));
}

/// Of all codes, those of least squared error.
double leastError(const std::vector<float>& numbers, int bits) {
  double least = std::numeric_limits<double>::infinity();
  std::vector<std::uint8_t> codes(numbers.size(), 0);
  for (bool more = true; more;) {
    const std::vector<float> levels = meaning(codes, bits);
    double error = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) error += (levels[i] - numbers[i]) * (levels[i] - numbers[i]);
    least = std::min(least, error);
    more = false;
    for (std::uint8_t& code : codes) {
      if (++code < 1 << bits) {
        more = true;
        break;
      }
      code = 0;
    }
  }
  return least;
}

TEST(Trellis, FindsTheCodesOfLeastError) {
  for (const auto& [bits, count] : {std::pair{1, 10}, {2, 6}, {3, 4}, {4, 3}})
    for (int turn = 0; turn < 10; ++turn) {
      const at::Tensor drawn = at::randn({count}) * (1 << bits);
      const std::vector<float> numbers(drawn.const_data_ptr<float>(), drawn.const_data_ptr<float>() + count);
      std::vector<std::uint8_t> codes(numbers.size());
      trellisCodes(numbers, bits, codes);
      const std::vector<float> levels = meaning(codes, bits);
      double error = 0;
      for (std::size_t i = 0; i < numbers.size(); ++i) error += (levels[i] - numbers[i]) * (levels[i] - numbers[i]);
      EXPECT_NEAR(error, leastError(numbers, bits), 1e-4 * error) << bits;
    }
}

TEST(Trellis, OperatorsComputeWhatRowsDo) {
  for (int bits = 1; bits <= kTrellisBits; ++bits) {
    const at::Tensor numbers = at::randn({3, 5, 40}) * (1 << bits);
    const at::Tensor codes = trellisCodes(numbers, bits);
    EXPECT_LT(codes.max().item<int>(), 1 << bits);
    EXPECT_TRUE(trellisCodesByOperators(numbers, bits).equal(codes)) << bits;
    const at::Tensor levels = trellisLevels(codes, bits);
    const at::Tensor row = codes[1][2].contiguous();
    const std::vector<std::uint8_t> own(row.const_data_ptr<std::uint8_t>(), row.const_data_ptr<std::uint8_t>() + 40);
    EXPECT_TRUE(levels[1][2].equal(at::tensor(meaning(own, bits))));
    EXPECT_TRUE(trellisCodes(levels, bits).equal(codes));  // what is a path already stays as it is
  }
}

/// Gaussian numbers at a rate of so many bits lose less than a scalar quantiser of as many levels: for 8 states by .6
/// to 1.1 dB (Marcellin and Fischer, 1990, table II, of optimised levels; ours are uniform).
TEST(Trellis, GaussianNumbersLoseLessThanByScalarCodes) {
  const at::Tensor numbers = at::randn({200, 500});
  for (int bits = 1; bits <= kTrellisBits; ++bits) {
    double best = 1;
    for (const double factor : {0.8, 1.0, 1.2, 1.4}) {
      const double step = gaussianStep(bits + 1) * factor;
      best = std::min(
          best,
          (trellisLevels(trellisCodes(numbers / step, bits), bits) * step - numbers).square().mean().item<double>());
    }
    EXPECT_LT(best, 0.9 * gaussianDistortion(bits)) << bits;
    EXPECT_GT(best, std::exp2(-2 * bits)) << bits;  // what no code can be better than
  }
}

TEST(Trellis, RecordsHoldItsCodesAsTheyHoldOthers) {
  const std::vector<std::uint8_t> widths = {16, 8, 6, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1};
  RecordLayout layout = RecordLayout::of(widths);
  const std::int64_t bytes = layout.bytes();
  layout.trellis = true;
  EXPECT_EQ(layout.bytes(), bytes);
  const at::Tensor latent = at::randn({50, 16}), steps = at::rand({16}) + 0.1;
  const at::Tensor records = packLatent(latent, steps, layout, at::kHalf),
                   meant = unpackLatent(records, steps, layout, at::kHalf);
  for (const RecordLayout::Directions& own : layout.directions()) {
    if (own.width > kTrellisBits) continue;
    const at::Tensor scaled = latent.narrow(1, own.begin, own.count) / steps.narrow(0, own.begin, own.count);
    const at::Tensor levels = trellisLevels(trellisCodes(scaled, own.width), own.width);
    EXPECT_TRUE(meant.narrow(1, own.begin, own.count).allclose(levels * steps.narrow(0, own.begin, own.count)))
        << own.width;
  }
  layout.trellis = false;
  EXPECT_TRUE(meant.narrow(1, 0, 3).equal(
      unpackLatent(packLatent(latent, steps, layout, at::kHalf), steps, layout, at::kHalf).narrow(1, 0, 3)));
}

}  // namespace
}  // namespace kvista::test
