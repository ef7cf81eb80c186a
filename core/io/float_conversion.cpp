// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/float_conversion.h"

#include <fmt/format.h>

#include <cstring>

namespace kvista {
namespace {

template <class Stored, class Convert>
void convertEach(const std::byte* bytes, std::span<float> out, Convert convert) {
  float* const target = out.data();
  const std::size_t count = out.size();
  for (std::size_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, bytes + i * sizeof(Stored), sizeof(Stored));
    target[i] = convert(stored);
  }
}

}  // namespace

Result<void> convertToFloat32(DataType type, std::span<const std::byte> bytes, std::span<float> out) {
  switch (type) {
    case DataType::f32:
      if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size_bytes());
      return {};
    case DataType::f64:
      convertEach<double>(bytes.data(), out, [](double x) { return static_cast<float>(x); });
      return {};
    case DataType::f16:
      convertEach<std::uint16_t>(bytes.data(), out, floatFromHalf);
      return {};
    case DataType::bf16:
      convertEach<std::uint16_t>(bytes.data(), out, floatFromBfloat16);
      return {};
    default:
      return fail(ErrorCode::unsupportedModel, fmt::format("Numbers of type {} are not read as float32.", nameOf(type)),
                  "Weights of a safetensors file must be F64, F32, F16 or BF16.");
  }
}

}  // namespace kvista
