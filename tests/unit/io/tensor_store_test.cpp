// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/tensor_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/io/float_conversion.h"

namespace kvista {
namespace {

TEST(DataType, CountsBytesInWholeBlocks) {
  EXPECT_EQ(*byteCount(DataType::f64, 3), 24u);
  EXPECT_EQ(*byteCount(DataType::bf16, 3), 6u);
  EXPECT_EQ(*byteCount(DataType::boolean, 3), 3u);
  EXPECT_EQ(*byteCount(DataType::f8e5m2, 5), 5u);
  EXPECT_EQ(*byteCount(DataType::q4_0, 64), 36u);
  EXPECT_EQ(*byteCount(DataType::q4_1, 64), 40u);
  EXPECT_EQ(*byteCount(DataType::q5_0, 64), 44u);
  EXPECT_EQ(*byteCount(DataType::q5_1, 64), 48u);
  EXPECT_EQ(*byteCount(DataType::q8_0, 64), 68u);
  EXPECT_EQ(*byteCount(DataType::q4_k, 512), 288u);
  EXPECT_EQ(*byteCount(DataType::q5_k, 512), 352u);
  EXPECT_EQ(*byteCount(DataType::q6_k, 512), 420u);
  for (const auto type : {DataType::f32, DataType::q4_0, DataType::q6_k}) EXPECT_EQ(*byteCount(type, 0), 0u);
}

TEST(DataType, RefusesBrokenBlocksAndOverflow) {
  EXPECT_THAT(byteCount(DataType::q4_0, 33).error().message, ::testing::HasSubstr("33 numbers"));
  EXPECT_FALSE(byteCount(DataType::q4_k, 128));
  constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();
  EXPECT_FALSE(byteCount(DataType::f32, kLargest));
  EXPECT_FALSE(byteCount(DataType::f64, std::uint64_t{1} << 61));
  EXPECT_TRUE(byteCount(DataType::u8, kLargest));
}

TEST(DataType, KnowsWhatAWeightMayBeMadeOf) {
  EXPECT_TRUE(isFloating(DataType::f64));
  EXPECT_TRUE(isFloating(DataType::bf16));
  EXPECT_TRUE(isFloating(DataType::q6_k));
  EXPECT_FALSE(isFloating(DataType::i8));
  EXPECT_FALSE(isFloating(DataType::boolean));
  EXPECT_FALSE(isFloating(DataType::f8e4m3));
  EXPECT_EQ(nameOf(DataType::bf16), "BF16");
  EXPECT_EQ(nameOf(DataType::boolean), "BOOL");
  EXPECT_EQ(nameOf(DataType::f8e4m3), "F8_E4M3");
  EXPECT_EQ(nameOf(DataType::q6_k), "Q6_K");
}

TEST(FloatConversion, HalfIsExactForEveryBitPattern) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = floatFromHalf(static_cast<std::uint16_t>(bits));
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const int fraction = static_cast<int>(bits & 0x3ff);
    ASSERT_EQ(std::signbit(value), bits >> 15 == 1) << bits;
    if (exponent == 31 && fraction != 0) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      continue;
    }
    double magnitude = std::ldexp(fraction, -24);  // a subnormal number
    if (exponent == 31)
      magnitude = std::numeric_limits<double>::infinity();
    else if (exponent > 0)
      magnitude = std::ldexp(1024 + fraction, exponent - 25);
    ASSERT_EQ(std::abs(static_cast<double>(value)), magnitude) << bits;
  }
}

TEST(FloatConversion, Bfloat16IsTheUpperHalfOfAFloat) {
  EXPECT_EQ(floatFromBfloat16(0x3f80), 1.0f);
  EXPECT_EQ(floatFromBfloat16(0xc049), -3.140625f);
  EXPECT_TRUE(std::isinf(floatFromBfloat16(0x7f80)));
  EXPECT_TRUE(std::isnan(floatFromBfloat16(0x7fc0)));
}

TEST(FloatConversion, ReadsAtAnyAlignment) {
  for (std::size_t shift = 0; shift < 8; ++shift) {
    std::vector<std::byte> bytes(shift + 100 * 8);
    std::vector<float> out(100);
    for (std::size_t i = 0; i < 100; ++i) {
      const double value = 0.25 * static_cast<double>(i) - 7;
      std::memcpy(bytes.data() + shift + 8 * i, &value, 8);
    }
    ASSERT_TRUE(convertToFloat32(DataType::f64, std::span(bytes).subspan(shift), out));
    for (std::size_t i = 0; i < 100; ++i) ASSERT_EQ(out[i], 0.25f * static_cast<float>(i) - 7);
    for (std::size_t i = 0; i < 100; ++i) {
      const auto half = static_cast<std::uint16_t>(0x3c00 + i);  // 1 + i / 1024
      std::memcpy(bytes.data() + shift + 2 * i, &half, 2);
    }
    ASSERT_TRUE(convertToFloat32(DataType::f16, std::span(bytes).subspan(shift, 200), out));
    for (std::size_t i = 0; i < 100; ++i) ASSERT_EQ(out[i], 1 + static_cast<float>(i) / 1024);
    ASSERT_TRUE(convertToFloat32(DataType::bf16, std::span(bytes).subspan(shift, 200), out));
    for (std::size_t i = 0; i < 100; ++i)
      ASSERT_EQ(std::bit_cast<std::uint32_t>(out[i]), static_cast<std::uint32_t>(0x3c00 + i) << 16);
  }
}

TEST(FloatConversion, RefusesIntegersAndBlocks) {
  std::vector<std::byte> bytes(8);
  std::vector<float> out(1);
  for (const auto type : {DataType::i64, DataType::boolean, DataType::f8e4m3, DataType::q8_0})
    EXPECT_EQ(convertToFloat32(type, bytes, out).error().code, ErrorCode::unsupportedModel);
}

}  // namespace
}  // namespace kvista
