// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/packed_records.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <vector>

namespace kvista::test {
namespace {

TEST(PackedRecords, CodesLieFromTheLowestBitsOn) {
  // One number, one code of 8 bits, three of 4, five of 1; steps of 1, so that a code is floor(z) + half its levels.
  const RecordLayout layout{.counts = {1, 1, 3, 0, 5}};
  const at::Tensor latent = at::tensor({1.0f, 200.0f, -8.0f, 0.5f, 7.9f, 3.0f, -3.0f, 0.0f, -0.1f, 9.0f}).unsqueeze(0);
  const at::Tensor steps = at::ones({10}, at::kFloat);
  const at::Tensor records = packLatent(latent, steps, layout, at::kBFloat16);
  // bfloat16 1.0 is 0x3f80; 200 clamps to 127 + 128; -8, 0, 7 are 0, 8, 15; above or below 0 is 1 or 0.
  EXPECT_TRUE(records.equal(at::tensor(std::vector<std::int64_t>{0x80, 0x3f, 0xff, 0x80, 0x0f, 0b10101}).to(at::kByte).unsqueeze(0))) << records;
  const at::Tensor meant = at::tensor({1.0f, 127.5f, -7.5f, 0.5f, 7.5f, 0.5f, -0.5f, 0.5f, -0.5f, 0.5f}).unsqueeze(0);
  EXPECT_TRUE(unpackLatent(records, steps, layout, at::kBFloat16).equal(meant));
}

TEST(PackedRecords, PaddingChangesThePlaceAndNotTheMeaning) {
  const RecordLayout tight{.counts = {3, 2, 5, 6, 9}};
  RecordLayout wide = tight;
  wide.runAlignment = 4;
  wide.alignment = 16;
  EXPECT_EQ(tight.bytes(), 6 + 2 + 3 + 2 + 2);
  EXPECT_EQ(wide.bytes(), 32);  // 8 + 4 + 4 + 4 + 4, to a multiple of 16
  const at::Tensor latent = at::randn({4, 7, 25}), steps = at::rand({25}) + 0.1;
  const auto through = [&](const RecordLayout& layout) { return unpackLatent(packLatent(latent, steps, layout, at::kHalf), steps, layout, at::kHalf); };
  EXPECT_TRUE(through(tight).equal(through(wide)));
  // Packing what was unpacked changes nothing: every code's meaning lies in the middle of its cell.
  EXPECT_TRUE(packLatent(through(wide), steps, wide, at::kHalf).equal(packLatent(latent, steps, wide, at::kHalf)));
}

TEST(PackedRecords, DirectionsAreCountedByWidth) {
  const std::vector<std::uint8_t> widths = {16, 16, 8, 4, 4, 4, 1};
  EXPECT_EQ(runsOf(widths), (std::array<int, 5>{2, 1, 3, 0, 1}));
  const RecordLayout none{};
  EXPECT_EQ(unpackLatent(packLatent(at::randn({2, 0}), at::empty({0}), none, at::kHalf), at::empty({0}), none, at::kHalf).size(-1), 0);
}

}  // namespace
}  // namespace kvista::test
