// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

static_assert(std::endian::native == std::endian::little, "Weights are little endian and read as they lie.");

/// Half precision (IEEE 754 binary16) to single, exact; infinities and NaNs stay what they are. Without branches, so
/// that loops of it are vectorised on any x86-64.
inline float floatFromHalf(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t magnitude = half & 0x7fffu;
  // Exponents are biased by 15 here and by 127 there; 31 means infinity or NaN and becomes 255.
  const std::uint32_t normal = (magnitude << 13) + (magnitude >= 0x7c00u ? 224u << 23 : 112u << 23);
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f);
  return std::bit_cast<float>(sign | (magnitude < 0x400u ? subnormal : normal));
}

inline float floatFromBfloat16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// Numbers of type f64, f32, f16 or bf16, at any alignment, to float32. `bytes` holds exactly `out.size()` of them.
/// Errors: unsupportedModel for any other type.
Result<void> convertToFloat32(DataType type, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace kvista
