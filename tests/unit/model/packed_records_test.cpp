// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/packed_records.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/plan/plan.h"

namespace kvista::test {
namespace {

TEST(PackedRecords, CodesLieFromTheLowestBitsOn) {
  // One number, one code of 8 bits, three of 4, five of 1; steps of 1, so that a code is floor(z) + half its levels.
  const RecordLayout layout{.counts = {1, 1, 3, 0, 5}};
  const at::Tensor latent = at::tensor({1.0f, 200.0f, -8.0f, 0.5f, 7.9f, 3.0f, -3.0f, 0.0f, -0.1f, 9.0f}).unsqueeze(0);
  const at::Tensor steps = at::ones({10}, at::kFloat);
  const at::Tensor records = packLatent(latent, steps, layout, at::kBFloat16);
  // bfloat16 1.0 is 0x3f80; 200 clamps to 127 + 128; -8, 0, 7 are 0, 8, 15; above or below 0 is 1 or 0.
  EXPECT_TRUE(records.equal(
      at::tensor(std::vector<std::int64_t>{0x80, 0x3f, 0xff, 0x80, 0x0f, 0b10101}).to(at::kByte).unsqueeze(0)))
      << records;
  const at::Tensor meant = at::tensor({1.0f, 127.5f, -7.5f, 0.5f, 7.5f, 0.5f, -0.5f, 0.5f, -0.5f, 0.5f}).unsqueeze(0);
  EXPECT_TRUE(unpackLatent(records, steps, layout, at::kBFloat16).equal(meant));
}

TEST(PackedRecords, PaddingChangesThePlaceAndNotTheMeaning) {
  const RecordLayout tight{.counts = {3, 2, 5, 6, 9}, .sixes = 2, .threes = 3};
  RecordLayout wide = tight;
  wide.runAlignment = 4;
  wide.alignment = 16;
  EXPECT_EQ(tight.bytes(), 6 + 2 + 3 + 2 + 2);
  EXPECT_EQ(wide.bytes(), 32);  // 8 + 4 + 4 + 4 + 4, to a multiple of 16
  const at::Tensor latent = at::randn({4, 7, 20}), steps = at::rand({20}) + 0.1;
  const auto through = [&](const RecordLayout& layout) {
    return unpackLatent(packLatent(latent, steps, layout, at::kHalf), steps, layout, at::kHalf);
  };
  EXPECT_TRUE(through(tight).equal(through(wide)));
  // Packing what was unpacked changes nothing: every code's meaning lies in the middle of its cell.
  EXPECT_TRUE(packLatent(through(wide), steps, wide, at::kHalf).equal(packLatent(latent, steps, wide, at::kHalf)));
}

TEST(PackedRecords, CodesOfSixAndThreeBitsLieInTwoRuns) {
  // Steps of 1: of 6 bits -31, 0, 31 are 1, 32 and 63; of 4 bits 2 is 10; of 3 bits -4, 3 are 0 and 7, of 2 bits -1 is
  // 1, of 1 bit 0 is 1.
  const std::vector<std::uint8_t> widths = {6, 6, 6, 4, 3, 3, 2, 1};
  const RecordLayout layout = RecordLayout::of(widths);
  EXPECT_EQ(layout.counts, (std::array<int, 5>{0, 0, 4, 6, 3}));
  EXPECT_EQ(layout.rank(), 8);
  EXPECT_EQ(layout.bytes(), storedBytes(widths));
  const at::Tensor latent = at::tensor({-30.5f, 0.5f, 100.0f, 2.5f, -9.0f, 3.5f, -0.5f, 0.5f}).unsqueeze(0);
  const at::Tensor steps = at::ones({8}, at::kFloat);
  const at::Tensor records = packLatent(latent, steps, layout, at::kHalf);
  // Lower 4 bits 1, 0, 15, then 10; upper 2 bits 0, 2, 3, lower 2 bits 0, 3, then 1; upper bits 0, 1, then 1.
  const std::vector<std::int64_t> wanted = {0x01, 0xaf, 0b00'11'10'00, 0b01'11, 0b110};
  EXPECT_TRUE(records.equal(at::tensor(wanted).to(at::kByte).unsqueeze(0))) << records;
  const at::Tensor meant = at::tensor({-30.5f, 0.5f, 31.5f, 2.5f, -3.5f, 3.5f, -0.5f, 0.5f}).unsqueeze(0);
  EXPECT_TRUE(unpackLatent(records, steps, layout, at::kHalf).equal(meant));
}

TEST(PackedRecords, PartsMeanWhatTheirCodesDo) {
  const std::vector<std::uint8_t> widths = {8, 6, 6, 4, 3, 3, 3, 2, 1, 1};
  const RecordLayout layout = RecordLayout::of(widths);
  const at::Tensor latent = at::randn({20, 10}), steps = at::rand({10}) + 0.1;
  const at::Tensor records = packLatent(latent, steps, layout, at::kHalf);
  // The same record, read as if each part were a direction.
  const PartsAsDirections parts = partsAsDirections(layout, at::kCPU);
  const RecordLayout plain{.counts = layout.counts};
  EXPECT_EQ(plain.rank(), 15);
  const at::Tensor each =
      unpackLatent(records, steps.index_select(0, parts.directions) * parts.factors, plain, at::kHalf);
  const at::Tensor summed = at::zeros({20, 10}).index_add_(1, parts.directions, each);
  EXPECT_TRUE(summed.allclose(unpackLatent(records, steps, layout, at::kHalf), 1e-5, 1e-6));
}

TEST(PackedRecords, DirectionsAreCountedByWidth) {
  const std::vector<std::uint8_t> widths = {16, 16, 8, 4, 4, 4, 1};
  EXPECT_EQ(RecordLayout::of(widths).counts, (std::array<int, 5>{2, 1, 3, 0, 1}));
  const RecordLayout none{};
  EXPECT_EQ(
      unpackLatent(packLatent(at::randn({2, 0}), at::empty({0}), none, at::kHalf), at::empty({0}), none, at::kHalf)
          .size(-1),
      0);
}

}  // namespace
}  // namespace kvista::test
