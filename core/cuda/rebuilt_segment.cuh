// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/combine_segments.cuh"
#include "core/cuda/latent_attention.h"
#include "core/cuda/rebuilt_columns.cuh"
#include "core/cuda/rebuilt_scores.cuh"
#include "core/cuda/row_copier.cuh"
#include "core/cuda/tensor_core.cuh"

/// Attention over rebuilt keys, a block of threads for each segment and part of a group's heads.
namespace kvista::rebuilt_segment {

using namespace tensor_core;
using namespace rebuilt_columns;

constexpr int kTokensPerWarp = 32;
constexpr int kValueBlocks = 2;  // Blocks of 16 value directions that a warp sums at most.

__host__ __device__ constexpr int roundUp(int value, int step) { return (value + step - 1) / step * step; }

/// How the shared memory of a block of threads is laid out. Offsets in bytes. Values have one buffer, which is filled
/// while keys are scored; keys have one or two, of which the second one hides more of the memory's latency. Joint
/// latents have two.
struct SharedLayout {
  int keyStride, valueStride;  // of a row, in numbers
  int query, columns, probabilities, corrections, maxima, keys, keyBytes, values, packedKeys, packedValues, bytes;

  /// scratch: bytes of the query's part, which lies where the first values come later; words: of a packed latent, 0
  /// without.
  __host__ __device__ SharedLayout(int keyRank, int valueRank, bool joint, int keyStages, int heads, int warps,
                                   int width, int columnCount, int scratch, int keyWords, int valueWords) {
    const int tokens = kTokensPerWarp * warps / heads;
    keyStride = roundUp(keyRank, 16) + kPad;
    valueStride = joint ? keyStride : roundUp(valueRank, 16) + kPad;
    int end = 0;
    const auto take = [&end](int size) {
      const int begin = end;
      end += (size + 127) / 128 * 128;
      return begin;
    };
    query = take(heads * width * 4);
    columns = take(heads * columnCount * keyStride * 2);
    probabilities = take(heads * (tokens + kPad) * 2);
    corrections = take(heads * 4);
    maxima = take(warps * 4);
    keyBytes = tokens * keyStride * 2;
    keys = take((joint ? 1 : keyStages) * keyBytes);
    const int last = tokens * valueStride * 2;
    values = take(last > scratch ? last : scratch);
    packedKeys = take(tokens * keyWords * 4);
    packedValues = take(joint ? 0 : tokens * valueWords * 4);
    bytes = end;
  }
};

/// Two codes, which stand in both halves of a word, as code - 2^(bits - 1) + 1/2: exact in both types.
template <class Number>
__device__ inline std::uint32_t meaningOf(std::uint32_t codes, int bits) {
  constexpr std::uint32_t kWhole = 0x4B000000U;  // 2^23, a float that holds a whole number in its lowest bits
  const float middle = 8388608.0f + static_cast<float>(1 << (bits - 1)), half = 0.5f;
  return pack<Number>(__uint_as_float(kWhole | (codes & 0xFFFFU)) - middle + half,
                      __uint_as_float(kWhole | codes >> 16) - middle + half);
}

template <class Number, int kRun>
__device__ void unpackRun(const PackedLatent& latent, const std::uint32_t* rows, int rowWords, Number* to, int stride,
                          int count, int threads) {
  constexpr int kBits = PackedLatent::bits(kRun), kPairs = 16 / kBits;
  const int words = latent.words(kRun);
  if (words == 0) return;
  const auto inverse = static_cast<std::uint32_t>(0xFFFFFFFFU / words + 1);  // of small numbers: i / words
  for (int i = threadIdx.x; i < count * words; i += threads) {
    const int row = words == 1 ? i : static_cast<int>(static_cast<std::uint64_t>(i) * inverse >> 32),
              word = i - row * words;
    const std::uint32_t codes = rows[row * rowWords + word];
    auto* place = reinterpret_cast<std::uint32_t*>(to + row * stride + word * 2 * kPairs);
    if constexpr (kRun == 0) {
      *place = codes;
    } else {
      std::uint32_t pairs[kPairs];
#pragma unroll
      for (int k = 0; k < kPairs; ++k)
        pairs[k] = meaningOf<Number>(codes >> k * kBits & ((1U << kBits) - 1) * 0x00010001U, kBits);
      if constexpr (kPairs == 2) {
        *reinterpret_cast<uint2*>(place) = uint2{pairs[0], pairs[1]};
      } else {
#pragma unroll
        for (int k = 0; k < kPairs; k += 4)
          *reinterpret_cast<uint4*>(place + k) = uint4{pairs[k], pairs[k + 1], pairs[k + 2], pairs[k + 3]};
      }
    }
  }
}

/// Numbers of a tile of packed latents, by all threads, where PackedLatent::unpackedPlace says. What multiplies codes
/// holds their steps.
template <class Number, int kRun = 0>
__device__ void unpackRows(const PackedLatent& latent, int rowWords, const std::uint32_t* rows, Number* to, int stride,
                           int count, int threads) {
  if constexpr (kRun < PackedLatent::kRuns) {
    unpackRun<Number, kRun>(latent, rows, rowWords, to, stride, count, threads);
    unpackRows<Number, kRun + 1>(latent, rowWords, rows + latent.words(kRun), to + latent.room(kRun), stride, count,
                                 threads);
  }
}

/// One segment of one sequence for kHeads query heads of one group. A warp scores 32 tokens of a tile for one head;
/// then all warps share the sum over the values' latents by direction. Packed latents come to a place of their own and
/// are unpacked to where numbers would have been copied.
template <class Number, int kHeads, int kWarps, int kLowTiles, int kWidth, bool kPacked>
__global__ void __launch_bounds__(kWarps * 32, 16 / kWarps)
    segmentKernel(const RebuiltAttentionRun run, bool joint, int keyStages) {
  using Part = QueryPart<kLowTiles, kWidth>;
  constexpr int kThreads = kWarps * 32;
  constexpr int kColumnTiles = 2 * kDirectPairs / 8 + kLowTiles;
  constexpr int kTileTokens = kTokensPerWarp * kWarps / kHeads;
  static_assert(kColumnTiles % 2 == 0);
  unsigned char* const memory = sharedMemory();
  letNextBegin();

  const int parts = run.headsPerGroup * run.queriesPerHead / kHeads;
  const RebuiltGroup group = run.groups[blockIdx.x / parts];
  const int head = group.firstHead * run.queriesPerHead + static_cast<int>(blockIdx.x) % parts * kHeads;
  const std::int64_t batch = blockIdx.z;
  const int begin = static_cast<int>(blockIdx.y) * run.segment;
  const int count = min(run.segment, run.tokens - begin);
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const SharedLayout layout(group.keyRank, group.valueRank, joint, keyStages, kHeads, kWarps, kWidth, kColumnTiles * 8,
                            kHeads * Part::kSize * 2, kPacked ? group.keys.words() : 0,
                            kPacked ? group.values.words() : 0);
  const int keyStride = layout.keyStride, valueStride = layout.valueStride;
  auto* query = reinterpret_cast<float*>(memory + layout.query);
  auto* columns = reinterpret_cast<Number*>(memory + layout.columns);
  auto* probabilities = reinterpret_cast<Number*>(memory + layout.probabilities);
  auto* corrections = reinterpret_cast<float*>(memory + layout.corrections);
  auto* maxima = reinterpret_cast<float*>(memory + layout.maxima);
  auto* scratch = reinterpret_cast<Number*>(memory + layout.values);
  const std::uint32_t keyAddress = sharedAddress(memory + layout.keys),
                      valueAddress = sharedAddress(memory + layout.values);
  const auto keyBuffer = [&](int tile) {
    if (kPacked) return keyAddress;
    if (joint) return tile % 2 == 0 ? keyAddress : valueAddress;
    return keyAddress + (keyStages == 2 ? tile % 2 * layout.keyBytes : 0);
  };
  const auto valueBuffer = [&](int tile) { return joint ? keyBuffer(tile) : valueAddress; };

  constexpr int kUnit = kPacked ? 1 : 2;  // bytes of what strides count
  const auto* keys = static_cast<const char*>(run.keys) +
                     (batch * run.keyBatchStride + begin * run.keyTokenStride) * kUnit +
                     (kPacked ? group.keys.offset : group.keyOffset * 2);
  const auto* values = static_cast<const char*>(run.values) +
                       (batch * run.valueBatchStride + begin * run.valueTokenStride) * kUnit +
                       (kPacked ? group.values.offset : group.valueOffset * 2);
  const int keyBytes = kPacked ? group.keys.words() * 4 : group.keyRank * 2,
            valueBytes = kPacked ? group.values.words() * 4 : group.valueRank * 2;
  RowCopier keyCopier(keys, run.keyTokenStride * kUnit, kPacked ? keyBytes : keyStride * 2, keyBytes, kTileTokens,
                      threadIdx.x, kThreads);
  RowCopier valueCopier(values, run.valueTokenStride * kUnit, kPacked ? valueBytes : valueStride * 2, valueBytes,
                        kTileTokens, threadIdx.x, kThreads);
  const std::uint32_t packedKeys = sharedAddress(memory + layout.packedKeys),
                      packedValues = sharedAddress(memory + layout.packedValues);
  const auto loadKeys = [&](int tile) {
    const int first = tile * kTileTokens;
    if (first < count)
      keyCopier.copy(kPacked ? packedKeys : keyBuffer(tile), count - first, kTileTokens * kUnit * run.keyTokenStride,
                     keys);
    if (kPacked && !joint && first < count)
      valueCopier.copy(packedValues, count - first, kTileTokens * kUnit * run.valueTokenStride, values);
    commitCopies();
  };
  const auto loadValues = [&](int tile) {
    const int first = tile * kTileTokens;
    if (!joint) valueCopier.copy(valueAddress, count - first, kTileTokens * kUnit * run.valueTokenStride, values);
    commitCopies();
  };
  // Directions that fill a row up to a multiple of 16 are 0.
  const auto clearPads = [&](unsigned char* rows, int stride, int rank) {
    if (rank % 16 != 0)
      for (int row = threadIdx.x; row < kTileTokens; row += kThreads)
        *reinterpret_cast<uint4*>(rows + (row * stride + rank) * 2) = uint4{};
  };
  loadKeys(0);
  // Of packed ones nothing may be what no code is written to.
  if (kPacked)
    for (int i = threadIdx.x; i < layout.keyBytes / 16; i += kThreads)
      reinterpret_cast<uint4*>(memory + layout.keys)[i] = uint4{};
  clearPads(memory + layout.keys, keyStride, group.keyRank);
  if (keyStages == 2 && !joint) clearPads(memory + layout.keys + layout.keyBytes, keyStride, group.keyRank);

  placeQueries<Number, kHeads, kThreads, kLowTiles, kWidth>(run, batch, head, begin, query, scratch);
  __syncthreads();
  makeQueryPart<Number, kHeads, kThreads, kLowTiles, kWidth>(run.lowCosine, run.lowSine, query, scratch);
  __syncthreads();
  const int headOffset = ((head + warp % kHeads) / run.queriesPerHead - group.firstHead) * kWidth;
  Number* const ownColumns = columns + warp % kHeads * kColumnTiles * 8 * keyStride;
  makeColumns<Number, kHeads, kWarps, kLowTiles, kWidth>(
      static_cast<const Number*>(group.keyUp) + headOffset, run.headsPerGroup * kWidth, group.keyRank, scratch,
      [&](int column, int direction) {
        return reinterpret_cast<std::uint32_t*>(ownColumns + column * keyStride + direction);
      },
      [] {});
  __syncthreads();
  if (kPacked && !joint)
    for (int i = threadIdx.x; i < kTileTokens * valueStride / 8; i += kThreads)
      reinterpret_cast<uint4*>(memory + layout.values)[i] = uint4{};
  clearPads(memory + layout.values, valueStride, joint ? group.keyRank : group.valueRank);

  const int mine = warp % kHeads;                  // this warp's head
  const int row = warp / kHeads * kTokensPerWarp;  // and the first of its tokens in a tile
  const std::uint32_t columnRows =
      sharedAddress(columns + (mine * kColumnTiles * 8 + lane / 16 * 8 + lane % 8) * keyStride + lane / 8 % 2 * 8);
  const int steps = (keyStride - kPad) / 16;
  const int valueBlocks = (valueStride - kPad) / 16;
  float largest = -INFINITY, sum = 0;
  float sums[kValueBlocks][2][4] = {};
  const auto* table = static_cast<const std::uint32_t*>(run.table);

  const int tiles = (count + kTileTokens - 1) / kTileTokens;
  for (int tile = 0; tile < tiles; ++tile) {
    waitForCopies<0>();
    __syncthreads();  // the keys are there, and nobody reads the values before them any more
    if constexpr (kPacked) {
      unpackRows(group.keys, group.keys.words(), reinterpret_cast<const std::uint32_t*>(memory + layout.packedKeys),
                 reinterpret_cast<Number*>(memory + layout.keys), keyStride, kTileTokens, kThreads);
      if (!joint)
        unpackRows(group.values, group.values.words(),
                   reinterpret_cast<const std::uint32_t*>(memory + layout.packedValues),
                   reinterpret_cast<Number*>(memory + layout.values), valueStride, kTileTokens, kThreads);
      __syncthreads();
    } else {
      loadValues(tile);
    }
    if (kPacked || keyStages == 2) loadKeys(tile + 1);

    const std::uint32_t z = keyBuffer(tile) + ((row + lane % 16) * keyStride + lane / 16 * 8) * 2;
    float exponent = scoreTokens<Number, kColumnTiles>(z, keyStride, columnRows, steps,
                                                       table + (tile * kTileTokens + row) * 4, run.tableTokens);
    const int token = row + lane % 4 * 8 + lane / 4;
    if (tile * kTileTokens + token >= count) exponent = -INFINITY;
    float peak = exponent;
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
      peak = fmaxf(peak, __shfl_xor_sync(0xffffffffU, peak, distance));
    if (lane == 0) maxima[warp] = peak;
    __syncthreads();
    if (!kPacked && keyStages == 1) loadKeys(tile + 1);
    peak = largest;
#pragma unroll
    for (int other = 0; other < kWarps / kHeads; ++other) peak = fmaxf(peak, maxima[other * kHeads + mine]);
    const float correction = powerOfTwo(largest - peak);
    const float probability = powerOfTwo(exponent - peak);
    largest = peak;
    const Number rounded = fromFloat<Number>(probability);
    sum = sum * correction + toFloat(rounded);
    probabilities[mine * (kTileTokens + kPad) + token] = rounded;
    if (warp < kHeads && lane == 0) corrections[warp] = correction;
    waitForCopies<1>();  // the values are there, the next keys may be under way
    __syncthreads();

    // Values: probabilities [heads in 16 rows, tokens] times latents [tokens, directions].
    const float change = lane / 4 < kHeads ? corrections[lane / 4] : 0.0f;
    const Number* p = probabilities + (lane / 4) * (kTileTokens + kPad) + 2 * (lane % 4);
    const std::uint32_t v = valueBuffer(tile) + (lane % 16 * valueStride + lane / 16 * 8) * 2;
#pragma unroll
    for (int block = 0; block < kValueBlocks; ++block) {
      const int at = warp + block * kWarps;
      if (at >= valueBlocks) break;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        sums[block][half][0] *= change;
        sums[block][half][1] *= change;
      }
#pragma unroll 4
      for (int k = 0; k < kTileTokens; k += 16) {
        std::uint32_t a[4] = {};
        if (lane / 4 < kHeads) {
          a[0] = *reinterpret_cast<const std::uint32_t*>(p + k);
          a[2] = *reinterpret_cast<const std::uint32_t*>(p + k + 8);
        }
        std::uint32_t b[4];
        loadMatricesTransposed(b, v + (k * valueStride + at * 16) * 2);
        multiplyAdd<Number>(sums[block][0], a, b[0], b[1]);
        multiplyAdd<Number>(sums[block][1], a, b[2], b[3]);
      }
    }
  }

  // What this segment adds, for combineKernel.
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, distance);
  __syncthreads();
  if (lane == 0) maxima[warp] = sum;
  __syncthreads();
  const auto place = [&](int h) { return ((batch * run.queryHeads + head + h) * gridDim.y + blockIdx.y); };
  if (warp < kHeads && lane == 0) {
    float total = 0;
    for (int other = 0; other < kWarps / kHeads; ++other) total += maxima[other * kHeads + warp];
    run.statistics[place(warp) * 2] = largest;
    run.statistics[place(warp) * 2 + 1] = total;
  }
  if (lane / 4 < kHeads)
#pragma unroll
    for (int block = 0; block < kValueBlocks; ++block)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int direction = (warp + block * kWarps) * 16 + half * 8 + 2 * (lane % 4);
        if (direction < group.valueRank)
          *reinterpret_cast<float2*>(run.partials + place(lane / 4) * run.maximumValueRank + direction) =
              float2{sums[block][half][0], sums[block][half][1]};
      }
}

template <class Number, int kHeads, int kWarps, int kLowTiles, int kWidth, bool kPacked>
const char* launchSegments(const RebuiltAttentionRun& run) {
  const bool joint = run.keys == run.values;
  const int keyStages = joint ? 2 : 1;
  const SharedLayout layout(run.maximumKeyRank, run.maximumValueRank, joint, keyStages, kHeads, kWarps, kWidth,
                            2 * kDirectPairs + 8 * kLowTiles, kHeads * QueryPart<kLowTiles, kWidth>::kSize * 2,
                            run.maximumKeyWords, run.maximumValueWords);
  if (roundUp(run.maximumValueRank, 16) > 16 * kValueBlocks * kWarps) return "the latents are too wide for this kernel";
  const auto kernel = segmentKernel<Number, kHeads, kWarps, kLowTiles, kWidth, kPacked>;
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, layout.bytes);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  const int segments = (run.tokens + run.segment - 1) / run.segment;
  // Heads are neighbours in memory, so their blocks run side by side.
  const dim3 grid(run.groupCount * run.headsPerGroup * run.queriesPerHead / kHeads, segments, run.batch);
  error = launchKernel(kernel, grid, dim3(kWarps * 32), layout.bytes, run, joint, keyStages);
  if (error == cudaSuccess) error = launchCombine<Number>(run, segments, 1, run.maximumValueRank);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace kvista::rebuilt_segment
