// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/gguf_dequantise.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace kvista {
namespace {

constexpr std::uint8_t kOneLow = 0x00, kOneHigh = 0x3c;    // 1 in half precision, little endian
constexpr std::uint8_t kHalfLow = 0x00, kHalfHigh = 0x38;  // 0.5

std::vector<float> read(DataType type, const std::vector<std::uint8_t>& bytes, std::size_t count) {
  std::vector<float> out(count, -1000);
  const auto result = dequantise(type, std::as_bytes(std::span(bytes)), out);
  EXPECT_TRUE(result) << result.error().message;
  return out;
}

std::vector<std::uint8_t> block(std::initializer_list<std::uint8_t> start, std::size_t length, std::uint8_t rest = 0) {
  std::vector<std::uint8_t> out(start);
  out.resize(length, rest);
  return out;
}

TEST(GgufDequantise, Q4_0CountsFromMinusEight) {
  auto bytes = block({kHalfLow, kHalfHigh}, 18);
  for (std::uint8_t i = 0; i < 16; ++i) bytes[2 + i] = static_cast<std::uint8_t>(i | (15 - i) << 4);
  const auto out = read(DataType::q4_0, bytes, 32);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(out[i], 0.5f * static_cast<float>(i - 8));
    EXPECT_EQ(out[i + 16], 0.5f * static_cast<float>(7 - i));
  }
}

TEST(GgufDequantise, Q4_1AddsItsMinimum) {
  auto bytes = block({kOneLow, kOneHigh, kHalfLow, kHalfHigh}, 20);
  bytes[4] = 0xa3;
  const auto out = read(DataType::q4_1, bytes, 32);
  EXPECT_EQ(out[0], 3.5f);
  EXPECT_EQ(out[16], 10.5f);
  EXPECT_EQ(out[1], 0.5f);
}

TEST(GgufDequantise, Q5TakesFifthBitsFromTheWord) {
  auto bytes = block({kOneLow, kOneHigh, 0x01, 0x00, 0x01, 0x00}, 22);  // bits 0 and 16
  const auto signedOnes = read(DataType::q5_0, bytes, 32);
  EXPECT_EQ(signedOnes[0], 0.0f);
  EXPECT_EQ(signedOnes[16], 0.0f);
  EXPECT_EQ(signedOnes[1], -16.0f);
  auto withMinimum = block({kOneLow, kOneHigh, kHalfLow, kHalfHigh, 0x01, 0x00, 0x01, 0x00, 0xf1}, 24);
  const auto out = read(DataType::q5_1, withMinimum, 32);
  EXPECT_EQ(out[0], 17.5f);
  EXPECT_EQ(out[16], 31.5f);
  EXPECT_EQ(out[1], 0.5f);
}

TEST(GgufDequantise, Q8_0IsSigned) {
  const auto out = read(DataType::q8_0, block({kHalfLow, kHalfHigh, 127, 128, 255}, 34), 32);
  EXPECT_EQ(out[0], 63.5f);
  EXPECT_EQ(out[1], -64.0f);
  EXPECT_EQ(out[2], -0.5f);
  EXPECT_EQ(out[31], 0.0f);
}

TEST(GgufDequantise, KBlocksUnpackSixBitScalesAndMinima) {
  // Sub-block 0: scale 5, minimum 3 (low six bits). Sub-block 4: scale 9 | 2 << 4 = 41, minimum 7 | 1 << 4 = 23, whose
  // upper bits sit above those of sub-block 0.
  std::vector<std::uint8_t> scales(12);
  scales[0] = 5 | 2 << 6;
  scales[4] = 3 | 1 << 6;
  scales[8] = 9 | 7 << 4;
  auto q4 = block({kOneLow, kOneHigh, kHalfLow, kHalfHigh}, 144);
  std::copy(scales.begin(), scales.end(), q4.begin() + 4);
  q4[16] = 0x06;       // sub-block 0, number 0
  q4[16 + 64] = 0x0b;  // sub-block 4, number 0
  const auto out = read(DataType::q4_k, q4, 256);
  EXPECT_EQ(out[0], 5.0f * 6 - 1.5f);
  EXPECT_EQ(out[128], 41.0f * 11 - 11.5f);
  EXPECT_EQ(out[32], 0.0f);

  auto q5 = block({kOneLow, kOneHigh, kHalfLow, kHalfHigh}, 176);
  std::copy(scales.begin(), scales.end(), q5.begin() + 4);
  q5[16] = 1 | 1 << 4;  // fifth bits of number 0 in sub-blocks 0 and 4
  q5[48] = 0x06;
  q5[48 + 64] = 0x0b;
  const auto five = read(DataType::q5_k, q5, 256);
  EXPECT_EQ(five[0], 5.0f * 22 - 1.5f);
  EXPECT_EQ(five[128], 41.0f * 27 - 11.5f);
}

TEST(GgufDequantise, Q6_KJoinsFourAndTwoBits) {
  auto bytes = block({}, 210);
  bytes[208] = kHalfLow;
  bytes[209] = kHalfHigh;
  for (int i = 0; i < 16; ++i) bytes[192 + i] = static_cast<std::uint8_t>(i % 2 == 0 ? 2 : -3);
  bytes[64 + 32 + 17] = 0x90;   // second half, high nibble of run 3, number 17
  bytes[128 + 32 + 17] = 0x80;  // its upper two bits: 2
  const auto out = read(DataType::q6_k, bytes, 256);
  EXPECT_EQ(out[128 + 96 + 17], 0.5f * -3 * ((9 | 2 << 4) - 32));
  EXPECT_EQ(out[0], 0.5f * 2 * -32);
}

TEST(GgufDequantise, RefusesBytesThatDoNotFit) {
  std::vector<std::byte> bytes(18);
  std::vector<float> out(31);
  const auto result = dequantise(DataType::q4_0, bytes, out);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "18 bytes do not hold 31 numbers of type Q4_0.");
}

}  // namespace
}  // namespace kvista
