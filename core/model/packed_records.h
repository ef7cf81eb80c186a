// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>

namespace kvista {

/// How a latent lies in a token's record: directions of 16 bits as numbers, then codes of 8, 4, 2 and 1 bit, first code in
/// the lowest bits of a byte (methods.md section 10).
struct RecordLayout {
  static constexpr int kRuns = 5;
  std::array<int, kRuns> counts{};  ///< Directions of 16, 8, 4, 2 and 1 bit.
  int runAlignment = 1;             ///< Bytes that every run is padded to; kernels want 4,
  int alignment = 1;                ///< and the whole, 16.
  int numberBytes = 2;              ///< Of a 16-bit direction: 4 where numbers are kept in float32.

  static constexpr int bits(int run) { return 16 >> run; }
  [[nodiscard]] std::int64_t runBytes(int run) const;
  [[nodiscard]] std::int64_t bytes() const;
  [[nodiscard]] int rank() const;
};

/// Counts of directions of each width; `widths` falling, each 16, 8, 4, 2 or 1.
std::array<int, RecordLayout::kRuns> runsOf(std::span<const std::uint8_t> widths);

/// `latent` [..., rank] to records, uint8 [..., bytes]: code = clamp(floor(z / step), -2^(bits-1), 2^(bits-1) - 1), stored from
/// 0 on. Numbers become `numbers`, a type of layout.numberBytes. `steps` float32 [rank], not read for numbers.
at::Tensor packLatent(const at::Tensor& latent, const at::Tensor& steps, const RecordLayout& layout, at::ScalarType numbers);
/// What records mean, float32 [..., rank]: codes as (code + 0.5) * step.
at::Tensor unpackLatent(const at::Tensor& records, const at::Tensor& steps, const RecordLayout& layout, at::ScalarType numbers);

}  // namespace kvista
