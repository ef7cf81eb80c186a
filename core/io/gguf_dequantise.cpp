// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/gguf_dequantise.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include "core/io/float_conversion.h"

namespace kvista {
namespace {

using Bytes = const std::uint8_t*;

std::uint16_t loadU16(Bytes in) {
  std::uint16_t value;
  std::memcpy(&value, in, sizeof value);
  return value;
}

std::uint32_t loadU32(Bytes in) {
  std::uint32_t value;
  std::memcpy(&value, in, sizeof value);
  return value;
}

float loadHalf(Bytes in) { return floatFromHalf(loadU16(in)); }

// Each block type: how many numbers and bytes a block has, and how one is read. In the types of 32, number i lies in
// the low nibble of byte i, number i + 16 in the high one; fifth bits lie in a word, bit i for number i.
struct Q4_0 {
  static constexpr std::size_t kCount = 32, kBytes = 18;
  static void read(Bytes in, float* out) {
    const float scale = loadHalf(in);
    for (int i = 0; i < 16; ++i) {
      out[i] = scale * static_cast<float>((in[2 + i] & 15) - 8);
      out[i + 16] = scale * static_cast<float>((in[2 + i] >> 4) - 8);
    }
  }
};

struct Q4_1 {
  static constexpr std::size_t kCount = 32, kBytes = 20;
  static void read(Bytes in, float* out) {
    const float scale = loadHalf(in);
    const float minimum = loadHalf(in + 2);
    for (int i = 0; i < 16; ++i) {
      out[i] = scale * static_cast<float>(in[4 + i] & 15) + minimum;
      out[i + 16] = scale * static_cast<float>(in[4 + i] >> 4) + minimum;
    }
  }
};

struct Q5_0 {
  static constexpr std::size_t kCount = 32, kBytes = 22;
  static void read(Bytes in, float* out) {
    const float scale = loadHalf(in);
    const std::uint32_t fifth = loadU32(in + 2);
    for (int i = 0; i < 16; ++i) {
      out[i] = scale * static_cast<float>(static_cast<int>((in[6 + i] & 15u) | (fifth >> i & 1u) << 4) - 16);
      out[i + 16] = scale * static_cast<float>(static_cast<int>((in[6 + i] >> 4) | (fifth >> (i + 16) & 1u) << 4) - 16);
    }
  }
};

struct Q5_1 {
  static constexpr std::size_t kCount = 32, kBytes = 24;
  static void read(Bytes in, float* out) {
    const float scale = loadHalf(in);
    const float minimum = loadHalf(in + 2);
    const std::uint32_t fifth = loadU32(in + 4);
    for (int i = 0; i < 16; ++i) {
      out[i] = scale * static_cast<float>((in[8 + i] & 15u) | (fifth >> i & 1u) << 4) + minimum;
      out[i + 16] = scale * static_cast<float>((in[8 + i] >> 4) | (fifth >> (i + 16) & 1u) << 4) + minimum;
    }
  }
};

struct Q8_0 {
  static constexpr std::size_t kCount = 32, kBytes = 34;
  static void read(Bytes in, float* out) {
    const float scale = loadHalf(in);
    for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(static_cast<std::int8_t>(in[2 + i]));
  }
};

/// Six-bit scale and minimum of sub-block `i` (0 to 7) of a Q4_K or Q5_K block, packed into 12 bytes: the first four of
/// each in the low six bits of bytes 0 to 7; the others in the nibbles of bytes 8 to 11, topped by those bytes' high
/// bits.
struct ScaleAndMinimum {
  float scale, minimum;
};
ScaleAndMinimum unpackScale(Bytes packed, int i, float scale, float minimum) {
  const int s = i < 4 ? packed[i] & 63 : (packed[i + 4] & 15) | (packed[i - 4] >> 6) << 4;
  const int m = i < 4 ? packed[i + 4] & 63 : (packed[i + 4] >> 4) | (packed[i] >> 6) << 4;
  return {scale * static_cast<float>(s), minimum * static_cast<float>(m)};
}

struct Q4_K {
  static constexpr std::size_t kCount = 256, kBytes = 144;
  static void read(Bytes in, float* out) {
    const float scale = loadHalf(in);
    const float minimum = loadHalf(in + 2);
    for (int pair = 0; pair < 4; ++pair) {  // two sub-blocks of 32 share 32 bytes
      const auto low = unpackScale(in + 4, 2 * pair, scale, minimum);
      const auto high = unpackScale(in + 4, 2 * pair + 1, scale, minimum);
      const Bytes nibbles = in + 16 + 32 * pair;
      for (int i = 0; i < 32; ++i) {
        out[64 * pair + i] = low.scale * static_cast<float>(nibbles[i] & 15) - low.minimum;
        out[64 * pair + 32 + i] = high.scale * static_cast<float>(nibbles[i] >> 4) - high.minimum;
      }
    }
  }
};

struct Q5_K {
  static constexpr std::size_t kCount = 256, kBytes = 176;
  static void read(Bytes in, float* out) {
    const float scale = loadHalf(in);
    const float minimum = loadHalf(in + 2);
    const Bytes fifth = in + 16;  // bit k of byte i belongs to number i of sub-block k
    for (int pair = 0; pair < 4; ++pair) {
      const auto low = unpackScale(in + 4, 2 * pair, scale, minimum);
      const auto high = unpackScale(in + 4, 2 * pair + 1, scale, minimum);
      const Bytes nibbles = in + 48 + 32 * pair;
      for (int i = 0; i < 32; ++i) {
        const int first = (nibbles[i] & 15) | (fifth[i] >> (2 * pair) & 1) << 4;
        const int second = (nibbles[i] >> 4) | (fifth[i] >> (2 * pair + 1) & 1) << 4;
        out[64 * pair + i] = low.scale * static_cast<float>(first) - low.minimum;
        out[64 * pair + 32 + i] = high.scale * static_cast<float>(second) - high.minimum;
      }
    }
  }
};

struct Q6_K {
  static constexpr std::size_t kCount = 256, kBytes = 210;
  static void read(Bytes in, float* out) {
    const float scale = loadHalf(in + 208);
    for (int part = 0; part < 2; ++part) {  // 128 numbers: four runs of 32 that share 32 bytes of high bits
      const Bytes low = in + 64 * part;
      const Bytes high = in + 128 + 32 * part;
      const Bytes scales = in + 192 + 8 * part;  // signed, one for 16 numbers
      for (int run = 0; run < 4; ++run) {
        for (int i = 0; i < 32; ++i) {
          const int nibble = low[i + 32 * (run & 1)] >> (run < 2 ? 0 : 4) & 15;
          const int value = (nibble | (high[i] >> (2 * run) & 3) << 4) - 32;
          const float runScale = scale * static_cast<float>(static_cast<std::int8_t>(scales[2 * run + i / 16]));
          out[128 * part + 32 * run + i] = runScale * static_cast<float>(value);
        }
      }
    }
  }
};

template <class Block>
Result<void> readBlocks(std::span<const std::byte> bytes, std::span<float> out) {
  const auto* in = reinterpret_cast<Bytes>(bytes.data());
  for (std::size_t i = 0; i < out.size() / Block::kCount; ++i)
    Block::read(in + i * Block::kBytes, out.data() + i * Block::kCount);
  return {};
}

}  // namespace

Result<void> dequantise(DataType type, std::span<const std::byte> bytes, std::span<float> out) {
  const auto needed = byteCount(type, out.size());
  if (!needed || *needed != bytes.size())
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} bytes do not hold {} numbers of type {}.", bytes.size(), out.size(), nameOf(type)));
  switch (type) {
    case DataType::q4_0:
      return readBlocks<Q4_0>(bytes, out);
    case DataType::q4_1:
      return readBlocks<Q4_1>(bytes, out);
    case DataType::q5_0:
      return readBlocks<Q5_0>(bytes, out);
    case DataType::q5_1:
      return readBlocks<Q5_1>(bytes, out);
    case DataType::q8_0:
      return readBlocks<Q8_0>(bytes, out);
    case DataType::q4_k:
      return readBlocks<Q4_K>(bytes, out);
    case DataType::q5_k:
      return readBlocks<Q5_K>(bytes, out);
    case DataType::q6_k:
      return readBlocks<Q6_K>(bytes, out);
    default:
      return convertToFloat32(type, bytes, out);
  }
}

}  // namespace kvista
