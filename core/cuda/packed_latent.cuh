// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/latent_attention.h"
#include "core/cuda/tensor_core.cuh"

/// How one warp scores, and sums, 32 tokens of packed latents that lie in shared memory: codes become operands of the
/// tensor cores in registers. Codes of all widths go one way, by fours: two neighbours of one byte in the lower half of
/// a word and the two at the same places of its upper half. What differs between widths is read from a description. A
/// code of 8 bits counts as two, its lower and its upper 4 bits, whose sum it is.
namespace kvista::packed_latent {

using namespace tensor_core;

// A code c of at most 8 bits, put into the low byte of the float16 number 1024 at bit b, is 1024 + c 2^b: codes need
// not be moved to bit 0, if weights and sums are divided by 2^b.
constexpr float kBase = 1024;
__device__ constexpr float middleOf(int bits) { return static_cast<float>(1 << (bits - 1)) - 0.5f; }
/// What a code, number `within` of its run, is multiplied by, and how often 1024 is added to it.
__device__ constexpr float scaleOf(int bits, int within) {
  return bits == 8 ? 1.0f : static_cast<float>(1 << within % (16 / bits) * bits % 8);
}
__device__ constexpr float basesOf(int bits) { return bits == 8 ? 2 * kBase : kBase; }

/// Four codes as instructions want them: their word, the bits before their byte in both halves, the bits of the first
/// and of the second code in the byte, of both halves; no bits where there is no code.
using FourCodes = uint4;

/// Where four codes stand.
struct Place {
  int run, bits, word;  // the word of the whole latent
  int begin;            // directions before the run
  int within;           // in the run: of the first code in the lower half

  /// Number in the run of the first or second code of the lower or upper half.
  __device__ inline int withinOf(int second, int upper) const {
    return within + (bits == 8 ? 0 : second) + upper * (16 / bits);
  }
};
/// false past the last.
__device__ inline bool findPlace(const PackedLatent& latent, int four, Place& place) {
  int word = latent.words(0), begin = latent.counts[0];
  for (int run = 1; run < PackedLatent::kRuns; ++run) {
    const int bits = PackedLatent::bits(run), each = PackedLatent::foursOfWord(run), fours = latent.words(run) * each;
    if (four < fours) {
      place =
          Place{run, bits, word + four / each, begin, four / each * (32 / bits) + four % each * (bits == 8 ? 1 : 2)};
      return true;
    }
    four -= fours;
    word += latent.words(run);
    begin += latent.counts[run];
  }
  return false;
}
__device__ inline FourCodes describe(const PackedLatent& latent, int four) {
  Place place;
  if (!findPlace(latent, four, place)) return FourCodes{0, 0, 0, 0};
  const int bit = place.within % (16 / place.bits) * place.bits, width = min(place.bits, 4);
  const std::uint32_t first = (((1U << width) - 1) << bit % 8) * 0x00010001U;
  return FourCodes{static_cast<std::uint32_t>(place.word), static_cast<std::uint32_t>(bit / 8 * 8), first,
                   first << width};
}

/// Steps of 16 directions in which numbers, then codes, are scored.
__device__ inline int numberSteps(const PackedLatent& latent) { return (latent.words(0) + 7) / 8; }
__device__ inline int codeSteps(const PackedLatent& latent) { return (latent.fours() + 3) / 4; }

/// Scores of 32 tokens from codes: sums [2][4] of 16 tokens x 8 queries each. `rows`: this lane's first token; fours:
/// this lane's of the first step, one a lane of four; fragments: this lane's of the first step. magic: 1024 twice, in a
/// register of its own.
__device__ inline void scoreCodes(float (&sums)[2][4], const std::uint32_t* rows, int stride, int steps,
                                  const FourCodes* fours, const uint2* fragments, std::uint32_t magic) {
#pragma unroll 2
  for (int step = 0; step < steps; ++step, fours += 4, fragments += 32) {
    const FourCodes four = *fours;
    const uint2 b = *fragments;
    const std::uint32_t* from = rows + four.x;
    std::uint32_t w[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) w[i] = from[i * 8 * stride] >> four.y;
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      const std::uint32_t a[4] = {maskAndOr(w[2 * m], four.z, magic), maskAndOr(w[2 * m + 1], four.z, magic),
                                  maskAndOr(w[2 * m], four.w, magic), maskAndOr(w[2 * m + 1], four.w, magic)};
      multiplyAdd<__half>(sums[m], a, b.x, b.y);
    }
  }
}

template <class Number>
__device__ void scoreNumbers(float (&sums)[2][4], const std::uint32_t* rows, int stride, int words,
                             const uint2* fragments) {
#pragma unroll 1
  for (int first = 0; first < words; first += 8, fragments += 32) {
    const int word = first + 2 * (threadIdx.x % 4);
    const uint2 b = *fragments;
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      std::uint32_t a[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) a[i] = word + i / 2 < words ? rows[(2 * m + i % 2) * 8 * stride + word + i / 2] : 0;
      multiplyAdd<Number>(sums[m], a, b.x, b.y);
    }
  }
}

/// Values are summed by slots of 32 directions, two operands of 16 rows each. Numbers: the first words of a row of
/// lanes are rows r and r + 8 of the one, the second ones of the other. Codes: the lower halves' two places are rows of
/// the one, the upper halves' of the other.
__device__ inline int numberSlots(const PackedLatent& values) { return (values.words(0) + 15) / 16; }

/// Where the sum of a direction stands: 32 to a slot, [operand][first or second place][row of lanes]; of a code of 8
/// bits, the first of both places.
struct SummedPlace {
  int bits, within, place;  // within: its run
};
__device__ inline SummedPlace placeOf(const PackedLatent& values, int direction) {
  int fours = 8 * numberSlots(values);
  if (direction < values.counts[0]) {
    const int word = direction / 2;
    return {16, direction, word / 16 * 32 + word / 8 % 2 * 16 + direction % 2 * 8 + word % 8};
  }
  int run = 1, within = direction - values.counts[0];
  for (; within >= values.counts[run]; within -= values.counts[run++])
    fours += values.words(run) * PackedLatent::foursOfWord(run);
  const int bits = PackedLatent::bits(run), half = 16 / bits, code = within % half, each = bits == 8 ? 1 : 2;
  fours += within / (2 * half) * PackedLatent::foursOfWord(run) + code / each;
  return {bits, within, fours / 8 * 32 + within / half % 2 * 16 + code % each * 8 + fours % 8};
}

/// Adds 32 tokens of one slot: sums [operand][4] of 16 directions x 8 queries. `rows`: of this lane's first token.
__device__ inline void sumCodes(float (&sums)[2][4], const FourCodes& four, const std::uint32_t* rows, int stride,
                                const std::uint32_t (&p)[2][2], std::uint32_t magic) {
  const std::uint32_t* word = rows + four.x;
  // Bytes 0 or 1 of the lower, 2 or 3 of the upper half of two tokens' words.
  const std::uint32_t selectors[2] = {four.y == 0 ? 0x5410U : 0x0501U, four.y == 0 ? 0x7632U : 0x0703U};
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    std::uint32_t halves[2][2];  // [lower or upper][of tokens 0 or 8], of two tokens each
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const std::uint32_t one = word[(16 * k + 8 * i) * stride], other = word[(16 * k + 8 * i + 1) * stride];
#pragma unroll
      for (int half = 0; half < 2; ++half) halves[half][i] = __byte_perm(one, other, selectors[half]);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const std::uint32_t(&w)[2] = halves[half];
      const std::uint32_t a[4] = {maskAndOr(w[0], four.z, magic), maskAndOr(w[0], four.w, magic),
                                  maskAndOr(w[1], four.z, magic), maskAndOr(w[1], four.w, magic)};
      multiplyAdd<__half>(sums[half], a, p[k][0], p[k][1]);
    }
  }
}

/// words: this row of lanes' of both operands.
template <class Number>
__device__ void sumNumbers(float (&sums)[2][4], const FourCodes& words, const std::uint32_t* rows, int stride,
                           const std::uint32_t (&p)[2][2]) {
#pragma unroll
  for (int operand = 0; operand < 2; ++operand)
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const std::uint32_t* at = rows + (operand == 0 ? words.x : words.y) + 16 * k * stride;
      const std::uint32_t a[4] = {__byte_perm(at[0], at[stride], 0x5410), __byte_perm(at[0], at[stride], 0x7632),
                                  __byte_perm(at[8 * stride], at[9 * stride], 0x5410),
                                  __byte_perm(at[8 * stride], at[9 * stride], 0x7632)};
      multiplyAdd<Number>(sums[operand], a, p[k][0], p[k][1]);
    }
}

}  // namespace kvista::packed_latent
