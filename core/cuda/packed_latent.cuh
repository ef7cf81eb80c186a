// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/latent_attention.h"
#include "core/cuda/tensor_core.cuh"

/// How one warp scores, and sums, 32 tokens of packed latents that lie in shared memory: codes become operands of the tensor
/// cores in registers, one instruction for two of them.
namespace kvista::packed_latent {

using namespace tensor_core;

constexpr int kTiles = 4;  // Of 16 directions in a unit.

// A code c of at most 8 bits, put into the low byte of the float16 number 1024 at bit b, is 1024 + c 2^b: codes need not be
// moved to bit 0, if weights and sums are divided by 2^b.
constexpr float kBase = 1024;
/// Bit of a code in its byte, if it is number `entry` of those in a half of a word.
__host__ __device__ constexpr int bitOf(int entry, int bits) { return bits * (entry % (8 / bits)); }
__device__ constexpr float middleOf(int bits) { return static_cast<float>(1 << (bits - 1)) - 0.5f; }

/// Two codes, at the same place of both halves of a word, as float16 numbers. magic: 1024 twice, in a register of its own.
template <int kBits>
__device__ std::uint32_t codesAt(std::uint32_t word, int bit, std::uint32_t magic) {
  return maskAndOr(word, (((1U << kBits) - 1) * 0x00010001U) << bit, magic);
}

/// How the words of a run of codes are scored: groups of four words, one a lane of four, and a last one of `rest` words (a
/// power of two), of which 4 / rest lanes share one.
struct Groups {
  int whole, rest, stepsEach, restSteps;

  __device__ Groups(int words, int bits) {
    const int left = words % 4;
    rest = left == 0 ? 0 : left == 3 || bits == 8 ? 4 : left == 1 && bits == 4 ? 2 : left;
    whole = words / 4 + (rest == 4 ? 1 : 0);
    if (rest == 4) rest = 0;
    stepsEach = 8 / bits;
    restSteps = 2 * rest / bits;
  }
  __device__ inline int steps() const { return whole * stepsEach + restSteps; }
};
__device__ inline int stepsOf(const PackedLatent& latent, int run) {
  return run == 0 ? (latent.words(0) + 7) / 8 : Groups(latent.words(run), PackedLatent::bits(run)).steps();
}

/// Bit of the code of direction `within` of a run in its byte, as scored.
__device__ inline int scoredBit(const PackedLatent& latent, int run, int within) {
  const int bits = PackedLatent::bits(run), perHalf = 16 / bits;
  const Groups groups(latent.words(run), bits);
  const bool whole = within / (32 / bits) < groups.whole * 4;
  const int entry = within % perHalf;
  return bitOf(whole ? entry : entry % (perHalf * groups.rest / 4), bits);
}

/// Scores of 32 tokens from one run of codes: sums [2][4] of 16 tokens x 8 queries each. `rows`: the run's first word of this
/// lane's first token; fragments: this lane's of the run's first step.
template <int kBits>
__device__ void scoreCodes(float (&sums)[2][4], const std::uint32_t* rows, int stride, int words, const uint2* fragments, std::uint32_t magic) {
  const int quarter = threadIdx.x % 4;
  const Groups groups(words, kBits);
  // A step is entries 2 at and 2 at + 1 of each half.
  const auto score = [&](std::uint32_t(&w)[4], int steps) {
#pragma unroll
    for (int at = 0; at < 8 / kBits; ++at) {
      if (at >= steps) break;
      const uint2 b = *fragments;
      fragments += 32;
      const auto codes = [&](int i, int entry) {
        return codesAt<kBits>(entry >= 8 / kBits ? w[i] >> 8 : w[i], bitOf(entry, kBits), magic);
      };
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        const std::uint32_t a[4] = {codes(2 * m, 2 * at), codes(2 * m + 1, 2 * at), codes(2 * m, 2 * at + 1), codes(2 * m + 1, 2 * at + 1)};
        multiplyAdd<__half>(sums[m], a, b.x, b.y);
      }
    }
  };
  const std::uint32_t* from = rows + quarter;
#pragma unroll 1
  for (int group = 0; group < groups.whole; ++group, from += 4) {
    std::uint32_t w[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) w[i] = from[i * 8 * stride];
    score(w, 8 / kBits);
  }
  if (kBits < 8 && groups.rest != 0) {
    const int sharing = groups.rest / 2;  // 0 or 1: the logarithm of the words
    const int shift = (quarter >> sharing) * (4 * groups.rest);  // bits of the lanes before
    from += (quarter & (groups.rest - 1)) - quarter;
    std::uint32_t w[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) w[i] = from[i * 8 * stride] >> shift;
    score(w, groups.restSteps);
  }
}

template <class Number>
__device__ void scoreNumbers(float (&sums)[2][4], const std::uint32_t* rows, int stride, int words, const uint2* fragments) {
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

/// A part of one run of the values that is summed together: 2^shift words, of which 8 / 2^shift rows of lanes share each.
struct Unit {
  std::int16_t word, run, shift, direction, directions, spare;

  /// Of a row of lanes: which of the unit's words, and where its codes begin in it.
  __device__ inline int wordOf(int row) const { return word + (row & ((1 << shift) - 1)); }
  __device__ inline int share() const { return run == 0 ? 2 : (4 << shift) >> (4 - run); }
  __device__ inline int firstCode(int row) const { return (row >> shift) * share(); }
};

/// The units of the values, written by one thread; how many, for all.
__device__ inline int makeUnits(const PackedLatent& values, Unit* units) {
  int found = 0;
  for (int r = 0, word = 0, direction = 0; r < PackedLatent::kRuns; ++r) {
    const int bits = PackedLatent::bits(r), most = PackedLatent::unitWords(r), perWord = 32 / bits;
    for (int left = values.words(r), count = values.counts[r]; left > 0;) {
      // The fewest words that hold what is left; sixteen rows need two codes each.
      int shift = bits == 16 ? 3 : bits == 8 ? 2 : bits == 4 ? 1 : 0;
      while (1 << shift < most && 1 << shift < left) ++shift;
      const int words = 1 << shift, here = min(count, words * perWord);
      if (threadIdx.x == 0)
        units[found] = Unit{static_cast<std::int16_t>(word), static_cast<std::int16_t>(r), static_cast<std::int16_t>(shift),
                            static_cast<std::int16_t>(direction), static_cast<std::int16_t>(here), 0};
      ++found;
      word += min(words, left);
      left -= words;
      direction += here;
      count -= here;
    }
  }
  return found;
}

/// Adds 32 tokens of one unit: sums [tile][4] of 16 directions x 8 queries. `word`: this lane's, of its first token.
template <int kBits>
__device__ void sumCodes(float (&sums)[kTiles][4], int kind, const std::uint32_t* word, int stride, const std::uint32_t (&p)[2][2],
                         std::uint32_t magic) {
  constexpr int kPerHalf = 16 / kBits;
  const auto sum = [&](int share, std::uint32_t selector, int shift, bool wholeWords) {
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      std::uint32_t low[2], high[2];  // of tokens 0 and 8: codes of the lower, of the upper half of the words of two tokens each
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const std::uint32_t one = word[(16 * k + 8 * i) * stride], other = word[(16 * k + 8 * i + 1) * stride];
        low[i] = __byte_perm(one, other, selector) >> shift;
        high[i] = wholeWords ? __byte_perm(one, other, 0x7632) : 0;
      }
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        if (2 * tile >= share) break;
        const auto codes = [&](int i, int entry) {
          const std::uint32_t pair = entry >= kPerHalf ? high[i] : low[i];
          return codesAt<kBits>(entry % kPerHalf >= 8 / kBits ? pair >> 8 : pair, bitOf(entry, kBits), magic);
        };
        const std::uint32_t a[4] = {codes(0, 2 * tile), codes(0, 2 * tile + 1), codes(1, 2 * tile), codes(1, 2 * tile + 1)};
        multiplyAdd<__half>(sums[tile], a, p[k][0], p[k][1]);
      }
    }
  };
  const int unitShift = kind >> 3 & 7;
  if constexpr (kBits >= 4) {
    if (unitShift == 3) return sum(32 / kBits, 0x5410, 0, true);
  }
  sum((4 << unitShift) / kBits, (kind >> 6 & 1) == 0 ? 0x5410 : 0x7632, kind >> 7, false);
}

template <class Number>
__device__ void sumNumbers(float (&sums)[kTiles][4], const std::uint32_t* word, int stride, const std::uint32_t (&p)[2][2]) {
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    const std::uint32_t* at = word + 16 * k * stride;
    const std::uint32_t a[4] = {__byte_perm(at[0], at[stride], 0x5410), __byte_perm(at[0], at[stride], 0x7632),
                                __byte_perm(at[8 * stride], at[9 * stride], 0x5410), __byte_perm(at[8 * stride], at[9 * stride], 0x7632)};
    multiplyAdd<Number>(sums[0], a, p[k][0], p[k][1]);
  }
}

}  // namespace kvista::packed_latent
