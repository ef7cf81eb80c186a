// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/latent_attention.h"
#include "core/cuda/rebuilt_columns.cuh"
#include "core/cuda/rebuilt_scores.cuh"
#include "core/cuda/row_copier.cuh"
#include "core/cuda/tensor_core.cuh"

/// Attention over rebuilt keys for groups of one head, whose latents are so narrow that the rotation's table, not
/// they, would be most of what is read. A block keeps the table in shared memory and goes through several segments; the
/// columns of the next segment are made between the products of this one.
namespace kvista::rebuilt_streamed {

using namespace tensor_core;
using namespace rebuilt_columns;

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kLowTiles = 2;
constexpr int kSegment = 32 * kWarps;
constexpr int kColumnTiles = 2 * kDirectPairs / 8 + kLowTiles;
constexpr int kMaximumValueRank = 128;

/// Offsets in bytes of a block's shared memory.
struct SharedLayout {
  int keyStride, valueStride;  // of a row, in numbers
  int query, scratch, columns, up, upStride, low, table, keys, values, scales, bytes;

  __host__ __device__ SharedLayout(int keyRank, int valueRank, bool joint, int width, int queryPart) {
    keyStride = (keyRank + 15) / 16 * 16 + kPad;
    valueStride = joint ? keyStride : (valueRank + 15) / 16 * 16 + kPad;
    int end = 0;
    const auto take = [&end](int size) {
      const int begin = end;
      end += (size + 127) / 128 * 128;
      return begin;
    };
    query = take(width * 4);
    scratch = take(queryPart * 2);
    columns = take(kColumnTiles * 8 * keyStride * 2);
    upStride = width + kPad;
    up = take(keyRank * upStride * 2);
    low = take(2 * (width / 2 - kDirectPairs) * kLowTiles * 8 * 4);
    table = take(kColumnTiles * 8 * kSegment * 2);
    keys = take(kSegment * keyStride * 2);
    values = take(kSegment * valueStride * 2);
    scales = take(2 * kWarps * 4);
    // Sums come there at the end.
    bytes = end > table + kWarps * kMaximumValueRank * 4 ? end : table + kWarps * kMaximumValueRank * 4;
  }
};

/// `segments` segments of one sequence for one query head. A warp has 32 tokens of each from the score to the sum over
/// the values' latents; at the end the block adds up. kValueTiles: of 16 directions, at most.
template <class Number, int kWidth, int kValueTiles>
__global__ void __launch_bounds__(kThreads, kValueTiles <= 5 ? 2 : 1)
    streamKernel(const RebuiltAttentionRun run, bool joint, int segments, int allSegments) {
  using Part = QueryPart<kLowTiles, kWidth>;
  unsigned char* const memory = sharedMemory();
  letNextBegin();

  const int head = static_cast<int>(blockIdx.x);
  const RebuiltGroup group = run.groups[head / run.queriesPerHead / run.headsPerGroup];
  const std::int64_t batch = blockIdx.z;
  const int firstSegment = static_cast<int>(blockIdx.y) * segments, begin = firstSegment * kSegment;
  const int count = min(segments * kSegment, run.tokens - begin);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, quarter = lane % 4;
  const SharedLayout layout(group.keyRank, group.valueRank, joint, kWidth, Part::kSize);
  const int keyStride = layout.keyStride, valueStride = layout.valueStride;
  auto* query = reinterpret_cast<float*>(memory + layout.query);
  auto* scratch = reinterpret_cast<Number*>(memory + layout.scratch);
  auto* columns = reinterpret_cast<Number*>(memory + layout.columns);
  const std::uint32_t keyAddress = sharedAddress(memory + layout.keys),
                      valueAddress = sharedAddress(memory + layout.values);

  const Number* keys =
      static_cast<const Number*>(run.keys) + batch * run.keyBatchStride + begin * run.keyTokenStride + group.keyOffset;
  const Number* values = static_cast<const Number*>(run.values) + batch * run.valueBatchStride +
                         begin * run.valueTokenStride + group.valueOffset;
  RowCopier keyCopier(keys, run.keyTokenStride * 2, keyStride * 2, group.keyRank * 2, kSegment, threadIdx.x, kThreads);
  RowCopier valueCopier(values, run.valueTokenStride * 2, valueStride * 2, group.valueRank * 2, kSegment, threadIdx.x,
                        kThreads);
  // Joint latents take turns in both buffers.
  const auto keyBuffer = [&](int tile) { return joint && tile % 2 == 1 ? valueAddress : keyAddress; };
  const auto loadKeys = [&](int tile) {
    const int first = tile * kSegment;
    if (first < count) keyCopier.copy(keyBuffer(tile), count - first, kSegment * 2 * run.keyTokenStride, keys);
    commitCopies();
  };
  // Directions that fill a row up to a multiple of 16 are 0.
  const auto clearPads = [&](unsigned char* rows, int stride, int rank) {
    if (rank % 16 != 0)
      for (int row = threadIdx.x; row < kSegment; row += kThreads)
        *reinterpret_cast<uint4*>(rows + (row * stride + rank) * 2) = uint4{};
  };
  loadKeys(0);
  const std::uint32_t tableAddress = sharedAddress(memory + layout.table);
  for (int i = threadIdx.x; i < kColumnTiles * kSegment; i += kThreads)
    copyAsync16(tableAddress + i * 16, static_cast<const char*>(run.table) + i * 16);
  // So are what the low functions are made of, and what rebuilds the keys.
  constexpr int kLowNumbers = Part::kLowPairs * Part::kLow;
  auto* low = reinterpret_cast<float*>(memory + layout.low);
  for (int i = 4 * threadIdx.x; i < kLowNumbers; i += 4 * kThreads) {
    copyAsync16(sharedAddress(low + i), run.lowCosine + i);
    copyAsync16(sharedAddress(low + kLowNumbers + i), run.lowSine + i);
  }
  const Number* upFrom =
      static_cast<const Number*>(group.keyUp) + (head / run.queriesPerHead - group.firstHead) * kWidth;
  auto* up = reinterpret_cast<Number*>(memory + layout.up);
  for (int i = threadIdx.x; i < group.keyRank * kWidth / 8; i += kThreads) {
    const int at = i / (kWidth / 8), chunk = i % (kWidth / 8);
    copyAsync16(sharedAddress(up + at * layout.upStride + chunk * 8),
                upFrom + std::int64_t{at} * run.headsPerGroup * kWidth + chunk * 8);
  }
  commitCopies();
  clearPads(memory + layout.keys, keyStride, group.keyRank);
  clearPads(memory + layout.values, valueStride, joint ? group.keyRank : group.valueRank);

  // The queries, rotated back to where a segment begins, in the unit of exponents of 2.
  const int j = threadIdx.x;
  RotatedPair pair{};
  if (j < Part::kPairs) {
    const Number* from = static_cast<const Number*>(run.queries) + (batch * run.queryHeads + head) * kWidth;
    const float unit = run.scale * 1.4426950408889634f;
    pair = RotatedPair(toFloat(from[j]) * unit, toFloat(from[j + Part::kPairs]) * unit, run.frequencies[j]);
  }
  const auto rotateQuery = [&](int position) {
    if (j < Part::kPairs) pair.rotateBack(position, query[j], query[Part::kPairs + j]);
  };
  const auto makeQuery = [&] {
    makeQueryPart<Number, 1, kThreads, kLowTiles, kWidth>(low, low + kLowNumbers, query, scratch);
  };
  const auto makeNextColumns = [&] {
    makeColumns<Number, 1, kWarps, kLowTiles, kWidth, false>(
        up, layout.upStride, group.keyRank, scratch,
        [&](int column, int direction) {
          return reinterpret_cast<std::uint32_t*>(columns + column * keyStride + direction);
        },
        [] {});
  };
  rotateQuery(begin);
  for (int i = threadIdx.x; i < Part::kDirectSize / 8; i += kThreads) reinterpret_cast<uint4*>(scratch)[i] = uint4{};
  waitForCopies<0>();
  __syncthreads();
  makeQuery();
  __syncthreads();
  makeNextColumns();
  rotateQuery(begin + kSegment);

  const int row = warp * 32;  // the first of this warp's tokens in a segment
  const std::uint32_t columnRows = sharedAddress(columns + (lane / 16 * 8 + lane % 8) * keyStride + lane / 8 % 2 * 8);
  const int steps = (keyStride - kPad) / 16, valueTiles = (valueStride - kPad) / 16;
  const auto* table = reinterpret_cast<const std::uint32_t*>(memory + layout.table) + row * 4;
  // Row `lane` of the matrices of the values' transpose: tokens 0 to 7, then 8 to 15, of directions 0 and 8.
  const std::uint32_t valueRow = ((row + lane % 8 + lane / 16 * 8) * valueStride + lane / 8 % 2 * 8) * 2;
  float largest = -INFINITY, sum = 0;
  float sums[kValueTiles][4] = {};

  const int tiles = (count + kSegment - 1) / kSegment;
  for (int tile = 0; tile < tiles; ++tile) {
    waitForCopies<0>();
    __syncthreads();  // the keys and the columns are there, and nobody reads the values before them any more
    if (!joint) valueCopier.copy(valueAddress, count - tile * kSegment, kSegment * 2 * run.valueTokenStride, values);
    commitCopies();
    const float score =
        scoreTokens<Number, kColumnTiles>(keyBuffer(tile) + ((row + lane % 16) * keyStride + lane / 16 * 8) * 2,
                                          keyStride, columnRows, steps, table, kSegment);
    const bool next = tile + 1 < tiles;
    if (next) makeQuery();

    // This lane's token is quarter * 8 + lane / 4.
    const float exponent = tile * kSegment + row + quarter * 8 + lane / 4 < count ? score : -INFINITY;
    float peak = fmaxf(largest, exponent);
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
      peak = fmaxf(peak, __shfl_xor_sync(0xffffffffU, peak, distance));
    const float unit = peak == -INFINITY ? 0.0f : peak;  // nothing yet
    const float correction = powerOfTwo(largest - unit);
    const Number rounded = fromFloat<Number>(powerOfTwo(exponent - unit));
    largest = peak;
    sum = sum * correction + toFloat(rounded);
    if (correction != 1.0f)
#pragma unroll
      for (int i = 0; i < kValueTiles * 4; ++i) sums[i / 4][i % 4] *= correction;
    // The probabilities are an operand [32 tokens, 8 columns] with one number in each row, whose columns are added up
    // at the end: lane 4 n + q has rows 2 q, 2 q + 1, 2 q + 8, 2 q + 9 of both steps of column n.
    const int n = lane / 4;
    const float own = __shfl_sync(0xffffffffU, toFloat(rounded), (2 * quarter + n % 2) * 4 + n / 2);
    const std::uint32_t bits = n % 2 == 0 ? pack<Number>(own, 0) : pack<Number>(0, own);
    std::uint32_t p[2][2];
#pragma unroll
    for (int i = 0; i < 4; ++i) p[i / 2][i % 2] = n / 2 == i ? bits : 0;

    waitForCopies<0>();
    __syncthreads();  // the values are there, and nobody reads the keys or the columns any more
    loadKeys(tile + 1);
    const std::uint32_t from = (joint ? keyBuffer(tile) : valueAddress) + valueRow;
#pragma unroll
    for (int at = 0; at < kValueTiles; ++at) {
      if (at >= valueTiles) break;
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        std::uint32_t a[4];
        loadMatricesTransposed(a, from + (k * 16 * valueStride + at * 16) * 2);
        multiplyAdd<Number>(sums[at], a, p[k][0], p[k][1]);
      }
    }
    if (next) {
      makeNextColumns();
      rotateQuery(begin + (tile + 2) * kSegment);
    }
  }

  // What the warps found, in the largest one's unit.
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, distance);
  auto* scales = reinterpret_cast<float*>(memory + layout.scales);
  auto* shared = reinterpret_cast<float*>(memory + layout.table);  // [warps][kMaximumValueRank]
  if (lane == 0) {
    scales[warp] = largest;
    scales[kWarps + warp] = sum;
  }
  __syncthreads();
  float top = -INFINITY;
#pragma unroll
  for (int other = 0; other < kWarps; ++other) top = fmaxf(top, scales[other]);
  const float factor = powerOfTwo(largest - top);
#pragma unroll
  for (int at = 0; at < kValueTiles; ++at)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float value = sums[at][2 * half] + sums[at][2 * half + 1];
#pragma unroll
      for (int distance = 1; distance < 4; distance *= 2) value += __shfl_xor_sync(0xffffffffU, value, distance);
      if (quarter == 0 && at < valueTiles)
        shared[warp * kMaximumValueRank + at * 16 + half * 8 + lane / 4] = value * factor;
    }
  __syncthreads();
  const auto place = [&](int segment) { return (batch * run.queryHeads + head) * allSegments + segment; };
  if (warp == 0) {
    float total = 0;
    for (int other = 0; other < kWarps; ++other) total += powerOfTwo(scales[other] - top) * scales[kWarps + other];
    // The first segment stands for all of them.
    for (int segment = firstSegment + lane; segment < min(firstSegment + segments, allSegments); segment += 32) {
      run.statistics[place(segment) * 2] = segment == firstSegment ? top : -INFINITY;
      run.statistics[place(segment) * 2 + 1] = segment == firstSegment ? total : 0;
    }
  }
  for (int i = threadIdx.x; i < group.valueRank; i += kThreads) {
    float value = 0;
    for (int other = 0; other < kWarps; ++other) value += shared[other * kMaximumValueRank + i];
    run.partials[place(firstSegment) * run.maximumValueRank + i] = value;
  }
}

}  // namespace kvista::rebuilt_streamed
