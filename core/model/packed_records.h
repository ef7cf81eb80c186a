// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace kvista {

/// How a latent lies in a token's record: directions of 16 bits as numbers, then codes of 8, 4, 2 and 1 bit, first code
/// in the lowest bits of a byte (methods.md section 10). A code of 6 bits is two, its lower 4 and its upper 2 bits, one
/// of 3 its lower 2 and its upper bit: each width has a part in the run of every power of two that it is the sum of.
struct RecordLayout {
  static constexpr int kRuns = 5;
  /// Numbers of 16 bits, parts of 8, 4, 2 and 1 bit; in a run by falling width of their directions.
  std::array<int, kRuns> counts{};
  /// Directions of 6 bits, with a part each in the runs of 4 and 2; of 3 bits, in those of 2 and 1.
  int sixes = 0, threes = 0;
  int runAlignment = 1;  ///< Bytes that every run is padded to; kernels want 4,
  int alignment = 1;     ///< and the whole, 16.
  int numberBytes = 2;   ///< Of a 16-bit direction: 4 where numbers are kept in float32.
  /// Codes of up to kTrellisBits bits go through a trellis, those of each width through their own (trellis.h).
  bool trellis = false;

  /// `widths` falling, each 16, 8, 6, 4, 3, 2 or 1.
  static RecordLayout of(std::span<const std::uint8_t> widths);
  static constexpr int bits(int run) { return 16 >> run; }
  [[nodiscard]] std::int64_t runBytes(int run) const;
  [[nodiscard]] std::int64_t runBegin(int run) const;
  [[nodiscard]] std::int64_t bytes() const;
  [[nodiscard]] int rank() const;  ///< Directions.

  /// Neighbours of one width.
  struct Directions {
    int width = 0, begin = 0, count = 0;
  };
  /// All directions, by falling width.
  [[nodiscard]] std::vector<Directions> directions() const;
  [[nodiscard]] bool goesThroughTrellis(int width) const;

  /// Neighbours in a run: the bits from `shift` up of the codes of `count` directions of `width` bits, which begin at
  /// `direction`.
  struct Parts {
    int run = 0, within = 0;  ///< Of the first part.
    int width = 0, shift = 0, direction = 0, count = 0;
  };
  /// All parts, as they lie in a record.
  [[nodiscard]] std::vector<Parts> parts() const;
};

/// What reads a record without knowing of directions of several parts, such as a kernel, takes each part for a
/// direction: a code of 6 bits and step s is one of 2 bits and step 16 s and one of 4 bits and step s, since (u - 31.5)
/// s = (high - 1.5) 16 s + (low - 7.5) s for u = 16 high + low.
struct PartsAsDirections {
  at::Tensor directions;  ///< int64 [parts]: whose part it is
  at::Tensor factors;     ///< float32 [parts]: of the direction's step
};
PartsAsDirections partsAsDirections(const RecordLayout& layout, at::Device device);

/// `latent` [..., rank] to records, uint8 [..., bytes]: code = clamp(floor(z / step), -2^(bits-1), 2^(bits-1) - 1),
/// stored from 0 on, or that of a trellis. Numbers become `numbers`, a type of layout.numberBytes. `steps` float32
/// [rank], not read for numbers.
at::Tensor packLatent(const at::Tensor& latent, const at::Tensor& steps, const RecordLayout& layout,
                      at::ScalarType numbers);
/// What records mean, float32 [..., rank]: codes as (code + 0.5) * step, or as their trellis has them.
at::Tensor unpackLatent(const at::Tensor& records, const at::Tensor& steps, const RecordLayout& layout,
                        at::ScalarType numbers);

}  // namespace kvista
