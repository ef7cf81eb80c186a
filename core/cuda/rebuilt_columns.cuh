// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/latent_attention.h"
#include "core/cuda/tensor_core.cuh"

namespace kvista::rebuilt_columns {

using namespace tensor_core;

// Numbers between rows in shared memory, so that eight rows of a matrix lie in different banks.
constexpr int kPad = 8;

/// The columns of the scores' operand, [heads][kColumns][keyStride], are what rebuilds keys times the query's part of
/// each column, which is written down as [heads][direct columns, then low ones] of a head's numbers in an order of its
/// own.
template <int kLowTiles, int kWidth>
struct QueryPart {
  static constexpr int kPairs = kWidth / 2;
  static constexpr int kLow = 8 * kLowTiles;  // functions
  static constexpr int kLowPairs = kPairs - kDirectPairs;
  static constexpr int kDirectStride = 2 * kDirectPairs + kPad;
  static constexpr int kLowStride = 2 * kLowPairs + kPad;
  static constexpr int kDirectSize = 2 * kDirectPairs * kDirectStride;  // of a head
  static constexpr int kSize = kDirectSize + kLow * kLowStride;

  /// Where the first or second number of a pair stands. A lane of four reads eight neighbours from what rebuilds keys:
  /// two steps' worth of an operand, of which the other side has positions 2 lane, + 1, + 8, + 9. Bits of the pair are
  /// bits of the place, so places of disjoint bits add.
  __device__ static constexpr int place(bool second, int pair) {
    return pair / 16 * 32 + pair % 8 / 4 * 16 + pair % 4 / 2 * 8 + (second ? 4 : 0) + pair % 16 / 8 * 2 + pair % 2;
  }
};

/// A pair of a query's numbers, which is rotated back to where a segment begins. Angles are kept in turns of 2^64, so
/// that no position is too far for single precision.
struct RotatedPair {
  float first = 0, second = 0;
  std::uint64_t frequency = 0;

  __device__ RotatedPair() {}
  __device__ RotatedPair(float first_, float second_, float radians) : first(first_), second(second_) {
    const double turns = static_cast<double>(radians) * 0.15915494309189535;
    frequency = static_cast<std::uint64_t>((turns - floor(turns)) * 18446744073709551616.0);
  }
  __device__ inline void rotateBack(int position, float& rotatedFirst, float& rotatedSecond) const {
    const auto phase =
        static_cast<std::int32_t>(static_cast<std::uint32_t>(frequency * static_cast<std::uint64_t>(position) >> 32));
    float sine, cosine;
    sineAndCosine(static_cast<float>(phase) * 1.4629180792671596e-9f, sine, cosine);  // 2 pi / 2^32
    rotatedFirst = cosine * first + sine * second;
    rotatedSecond = cosine * second - sine * first;
  }
};

/// The queries of kHeads heads from `head` on, rotated back to the token `begin`, in the unit of exponents of 2, and
/// zeros for their direct columns in scratch. All threads have to meet before either is read.
template <class Number, int kHeads, int kThreads, int kLowTiles, int kWidth>
__device__ void placeQueries(const RebuiltAttentionRun& run, std::int64_t batch, int head, int begin, float* query,
                             Number* scratch) {
  using Part = QueryPart<kLowTiles, kWidth>;
  const float unit = run.scale * 1.4426950408889634f;
  for (int i = threadIdx.x; i < kHeads * Part::kPairs; i += kThreads) {
    const int h = i / Part::kPairs, j = i % Part::kPairs;
    const Number* from = static_cast<const Number*>(run.queries) + (batch * run.queryHeads + head + h) * kWidth;
    const RotatedPair pair(toFloat(from[j]) * unit, toFloat(from[j + Part::kPairs]) * unit, run.frequencies[j]);
    pair.rotateBack(begin, query[h * kWidth + j], query[h * kWidth + Part::kPairs + j]);
  }
  for (int i = threadIdx.x; i < kHeads * Part::kDirectSize / 8; i += kThreads) {
    const int h = i / (Part::kDirectSize / 8);
    reinterpret_cast<uint4*>(scratch + h * Part::kSize)[i % (Part::kDirectSize / 8)] = uint4{};
  }
}

/// cosine, sine: run.lowCosine and run.lowSine, or copies. scratch: its direct columns are 0 already. All threads have
/// to meet before it is read.
template <class Number, int kHeads, int kThreads, int kLowTiles, int kWidth>
__device__ void makeQueryPart(const float* cosine, const float* sine, const float* query, Number* scratch) {
  using Part = QueryPart<kLowTiles, kWidth>;
  constexpr int kStep = kThreads / Part::kLow;
  static_assert(Part::kLowPairs % kStep == 0 && (kStep & (kStep - 1)) == 0);
  const int j = threadIdx.x / Part::kLow, m = threadIdx.x % Part::kLow;
  Number* row = scratch + Part::kDirectSize + m * Part::kLowStride + Part::place(false, j);
  const float* from = query + kDirectPairs + j;
#pragma unroll
  for (int k = 0; k < Part::kLowPairs; k += kStep) {
    const float c = cosine[threadIdx.x + k * Part::kLow], s = sine[threadIdx.x + k * Part::kLow];
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      const float first = from[h * kWidth + k], second = from[h * kWidth + Part::kPairs + k];
      row[h * Part::kSize + Part::place(false, k)] = fromFloat<Number>(c * first + s * second);
      row[h * Part::kSize + Part::place(true, k)] = fromFloat<Number>(c * second - s * first);
    }
  }
  // cos: first * q_first + second * q_second; sin: first * q_second - second * q_first.
  for (int i = threadIdx.x; i < kHeads * kDirectPairs; i += kThreads) {
    const int h = i / kDirectPairs, pair = i % kDirectPairs;
    const Number first = fromFloat<Number>(query[h * kWidth + pair]),
                 second = fromFloat<Number>(query[h * kWidth + Part::kPairs + pair]);
    Number* column = scratch + h * Part::kSize + 2 * pair * Part::kDirectStride;
    column[Part::place(false, pair)] = first;
    column[Part::place(true, pair)] = second;
    column[Part::kDirectStride + Part::place(false, pair)] = second;
    column[Part::kDirectStride + Part::place(true, pair)] = fromFloat<Number>(-toFloat(first));
  }
}

/// Blocks of 16 directions x all columns of a head, a warp each; warp w has head w % kHeads. up: of the group's first
/// rank and this warp's head, in global memory or a copy in shared memory, rows of upStride numbers. place: where two
/// neighbours are written, by their column and the first one's direction; directions past the rank are 0 or, without
/// kZeros, anything, which meets latents that are 0. begin: makes scratch, which nothing is read of before. kAhead: the
/// next block's numbers are fetched before this one is done, which takes 32 registers.
template <class Number, int kHeads, int kWarps, int kLowTiles, int kWidth, bool kAhead = true, bool kZeros = false,
          class Place, class Begin>
__device__ void makeColumns(const Number* up, int upStride, int rank, const Number* scratch, const Place& place,
                            const Begin& begin) {
  using Part = QueryPart<kLowTiles, kWidth>;
  constexpr int kDirectTiles = 2 * kDirectPairs / 16;
  constexpr int kTiles = kDirectTiles + kLowTiles / 2;
  constexpr int kQuads = kWidth / 32;  // of eight numbers: one a lane of four
  static_assert(kWarps % kHeads == 0);
  const int lane = threadIdx.x % 32, quarter = lane % 4;
  const int h = threadIdx.x / 32 % kHeads;
  const int blocks = (rank + 15) / 16;
  up += quarter / 2 * Part::kPairs + quarter % 2 * 8;

  uint4 numbers[kQuads][2];
  const auto fetch = [&](int block) {
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      const int row = block * 16 + n * 8 + lane / 4;
      const auto* from = reinterpret_cast<const uint4*>(up + min(row, rank - 1) * upStride);
#pragma unroll
      for (int quad = 0; quad < kQuads; ++quad) numbers[quad][n] = !kZeros || row < rank ? from[quad * 2] : uint4{};
    }
  };
  const std::uint32_t direct =
      sharedAddress(scratch + h * Part::kSize + lane % 16 * Part::kDirectStride + lane / 16 * 8);
  const std::uint32_t low =
      sharedAddress(scratch + h * Part::kSize + Part::kDirectSize + lane % 16 * Part::kLowStride + lane / 16 * 8);
  int block = threadIdx.x / 32 / kHeads;
  if (kAhead && block < blocks) fetch(block);
  begin();
#pragma unroll 1
  for (; block < blocks; block += kWarps / kHeads) {
    if (!kAhead) fetch(block);
    float sums[kTiles][2][4] = {};
    const auto accumulate = [&](float(&into)[2][4], std::uint32_t part, int quad) {
#pragma unroll
      for (int step = 0; step < 2; ++step) {
        std::uint32_t a[4];
        loadMatrices(a, part + step * 32);
#pragma unroll
        for (int n = 0; n < 2; ++n)
          multiplyAdd<Number>(into[n], a, step == 0 ? numbers[quad][n].x : numbers[quad][n].z,
                              step == 0 ? numbers[quad][n].y : numbers[quad][n].w);
      }
    };
#pragma unroll
    for (int tile = 0; tile < kDirectTiles; ++tile)
      accumulate(sums[tile], direct + tile * 16 * Part::kDirectStride * 2, 0);
#pragma unroll
    for (int quad = 1; quad < kQuads; ++quad)
#pragma unroll
      for (int tile = 0; tile < kLowTiles / 2; ++tile)
        accumulate(sums[kDirectTiles + tile], low + (tile * 16 * Part::kLowStride + (quad - 1) * 32) * 2, quad);
    if (kAhead && block + kWarps / kHeads < blocks) fetch(block + kWarps / kHeads);
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int n = 0; n < 2; ++n)
          *place(tile * 16 + half * 8 + lane / 4, block * 16 + n * 8 + 2 * quarter) =
              pack<Number>(sums[tile][n][2 * half], sums[tile][n][2 * half + 1]);
  }
}

}  // namespace kvista::rebuilt_columns
