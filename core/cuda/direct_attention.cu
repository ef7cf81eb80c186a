// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/combine_segments.cuh"
#include "core/cuda/latent_attention.h"
#include "core/cuda/latent_attention_kernels.h"
#include "core/cuda/packed_latent.cuh"
#include "core/cuda/row_copier.cuh"
#include "core/cuda/tensor_core.cuh"

namespace kvista {
namespace {

using namespace tensor_core;
using namespace packed_latent;

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kRows = 32;    // Tokens that a warp takes at a time.
constexpr int kStages = 2;   // Of them that are in shared memory.
constexpr int kTile = kWarps * kRows;
constexpr int kMaximumQueries = 8;
constexpr int kProbabilityStride = kRows + 8;
constexpr int kPrepareThreads = 128;
constexpr int kPrepareRounds = 4;

/// Words between records in shared memory: an odd multiple of 4, so that the accesses below meet no bank twice.
__host__ __device__ constexpr int strideOf(int words) { return words % 8 == 0 ? words + 4 : words; }

struct SharedLayout {
  int stages, stageWords, keyWords, probabilities, numberProbabilities, fragments, sums, scales, units, bytes;

  __host__ __device__ SharedLayout(int maximumKeyWords, int maximumValueWords, int queries, int rank) {
    int end = 0;
    const auto take = [&end](int size) {
      const int begin = end;
      end += (size + 15) / 16 * 16;
      return begin;
    };
    keyWords = kRows * strideOf(maximumKeyWords);
    stageWords = keyWords + kRows * strideOf(maximumValueWords);
    stages = take(kWarps * kStages * stageWords * 4);
    probabilities = take(kWarps * queries * kProbabilityStride * 2);
    numberProbabilities = take(kWarps * queries * kProbabilityStride * 2);
    // Steps of 16 directions: the last words of each run may hold some steps of nothing.
    fragments = take((rank / 16 + PackedLatent::kRuns * 2 + 4) * 32 * 8);
    sums = take(kWarps * queries * rank * 4);
    scales = take(2 * kWarps * kMaximumQueries * 4);
    units = take(16 * sizeof(Unit));
    bytes = end;
  }
};

/// The query carried into the latent of its head's keys: weights of each direction as 16-bit numbers between -1 and 1, the
/// unit that they are in, and what the offset of the codes adds. One block a query head and sequence.
template <class Number>
__global__ void __launch_bounds__(kPrepareThreads) prepareKernel(const DirectAttentionRun run) {
  __shared__ float reduction[2];
  const int head = blockIdx.x;
  const std::int64_t place = std::int64_t{blockIdx.y} * run.queryHeads + head;
  const PackedLatent keys = run.groups[head / run.queriesPerHead].keys;
  const auto* query = static_cast<const Number*>(run.queries) + place * run.width;
  const auto* up = static_cast<const Number*>(keys.up);
  if (threadIdx.x < 2) reduction[threadIdx.x] = 0;
  __syncthreads();
  float products[kPrepareRounds];
  float largest = 0;
#pragma unroll
  for (int k = 0; k < kPrepareRounds; ++k) {
    const int i = threadIdx.x + k * kPrepareThreads;
    products[k] = 0;
    if (i >= keys.rank) continue;
    float sum = 0;
#pragma unroll 8
    for (int d = 0; d < run.width; ++d) sum += toFloat(up[std::int64_t{d} * keys.rank + i]) * toFloat(query[d]);
    products[k] = sum * keys.steps[i] * run.scale * 1.4426950408889634f;
    largest = fmaxf(largest, fabsf(products[k]));
  }
  atomicMax(reinterpret_cast<int*>(&reduction[0]), __float_as_int(largest));  // Floats that are not negative sort as integers.
  __syncthreads();
  const float unit = reduction[0] > 0 ? reduction[0] : 1.0f;
  auto* weights = static_cast<std::uint16_t*>(run.weights) + place * run.maximumRank;
  float offset = 0;
#pragma unroll
  for (int k = 0; k < kPrepareRounds; ++k) {
    const int i = threadIdx.x + k * kPrepareThreads;
    if (i >= keys.rank) continue;
    if (i < keys.counts[0]) {
      const Number weight = fromFloat<Number>(products[k] / unit);
      weights[i] = *reinterpret_cast<const std::uint16_t*>(&weight);
      continue;
    }
    int r = 1, first = keys.counts[0];
    for (; i >= first + keys.counts[r]; ++r) first += keys.counts[r];
    const auto scale = static_cast<float>(1 << scoredBit(keys, r, i - first));
    const __half weight = __float2half_rn(products[k] / unit / scale);
    weights[i] = *reinterpret_cast<const std::uint16_t*>(&weight);
    offset += toFloat(weight) * (kBase + middleOf(PackedLatent::bits(r)) * scale);
  }
  atomicAdd(&reduction[1], offset);
  __syncthreads();
  if (threadIdx.x == 0) {
    run.units[2 * place] = unit;
    run.units[2 * place + 1] = reduction[1];
  }
}

/// The operand of the scores, in the order in which the words' codes meet it.
__device__ void makeFragments(const DirectAttentionRun& run, const PackedLatent& keys, const std::uint16_t* weights, uint2* fragments) {
  for (int r = 0, direction = 0; r < PackedLatent::kRuns; ++r) {
    const int bits = PackedLatent::bits(r), steps = stepsOf(keys, r), perWord = 32 / bits, perHalf = 16 / bits;
    const Groups groups(keys.words(r), bits);
    for (int i = threadIdx.x; i < steps * 32; i += kThreads) {
      const int s = i / 32, column = i % 32 / 4, quarter = i % 4;
      std::uint32_t entries[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        // Registers 0 and 1 hold two numbers each.
        int within;
        if (r == 0) {
          within = (s * 8 + 2 * quarter + e / 2) * 2 + e % 2;
        } else {
          const bool whole = s < groups.whole * groups.stepsEach;
          const int words = whole ? 4 : groups.rest;
          const int group = whole ? s / groups.stepsEach : groups.whole;
          const int step = whole ? s % groups.stepsEach : s - groups.whole * groups.stepsEach;
          const int entry = quarter / words * (perHalf * words / 4) + 2 * step + e / 2;
          within = (group * 4 + quarter % words) * perWord + entry + e % 2 * perHalf;
        }
        entries[e] = within < keys.counts[r] && column < run.queriesPerHead ? weights[column * run.maximumRank + direction + within] : 0;
      }
      fragments[i] = uint2{entries[0] | entries[1] << 16, entries[2] | entries[3] << 16};
    }
    direction += keys.counts[r];
    fragments += steps * 32;
  }
}

/// One segment of one sequence for one head of keys and values and all its queries. Each warp goes through tokens of its
/// own, 32 at a time, and waits for nobody; at the end the block adds up. kSlots: units of the values at most.
template <class Number, int kSlots>
__global__ void __launch_bounds__(kThreads, kSlots <= 2 ? 4 : 3) segmentKernel(const DirectAttentionRun run) {
  unsigned char* const memory = sharedMemory();
  const PackedLatent keys = run.groups[blockIdx.y].keys, values = run.groups[blockIdx.y].values;
  const int keyWords = keys.words(), valueWords = values.words();
  const int queries = run.queriesPerHead;
  const std::int64_t batch = blockIdx.z;
  const int begin = static_cast<int>(blockIdx.x) * run.segment;
  const int count = min(run.segment, run.tokens - begin);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, quarter = lane % 4;
  const int keyStride = strideOf(keyWords), valueStride = strideOf(valueWords);
  const SharedLayout layout(run.maximumKeyWords, run.maximumValueWords, queries, run.maximumRank);
  auto* stages = reinterpret_cast<std::uint32_t*>(memory + layout.stages) + warp * kStages * layout.stageWords;
  auto* probabilities = reinterpret_cast<__half*>(memory + layout.probabilities) + warp * queries * kProbabilityStride;
  auto* numberProbabilities = reinterpret_cast<Number*>(memory + layout.numberProbabilities) + warp * queries * kProbabilityStride;
  auto* fragments = reinterpret_cast<uint2*>(memory + layout.fragments);
  auto* units = reinterpret_cast<Unit*>(memory + layout.units);

  const char* keysFrom = static_cast<const char*>(run.keys) + batch * run.keyBatchStride + begin * run.keyTokenStride + keys.offset;
  const char* valuesFrom = static_cast<const char*>(run.values) + batch * run.valueBatchStride + begin * run.valueTokenStride + values.offset;
  RowCopier keyCopier(keysFrom + warp * kRows * run.keyTokenStride, run.keyTokenStride, keyStride * 4, keyWords * 4, kRows, lane, 32);
  RowCopier valueCopier(valuesFrom + warp * kRows * run.valueTokenStride, run.valueTokenStride, valueStride * 4, valueWords * 4, kRows, lane, 32);
  const std::uint32_t stageAddress = sharedAddress(stages);
  const auto load = [&](int tile) {
    const int first = tile * kTile + warp * kRows;
    const std::uint32_t to = stageAddress + tile % kStages * layout.stageWords * 4;
    if (first < count) {
      keyCopier.copy(to, count - first, kTile * run.keyTokenStride, keysFrom);
      valueCopier.copy(to + layout.keyWords * 4, count - first, kTile * run.valueTokenStride, valuesFrom);
    }
    commitCopies();
  };
#pragma unroll
  for (int tile = 0; tile < kStages; ++tile) load(tile);
  const std::int64_t firstHead = batch * run.queryHeads + static_cast<std::int64_t>(blockIdx.y) * queries;
  makeFragments(run, keys, static_cast<const std::uint16_t*>(run.weights) + firstHead * run.maximumRank, fragments);
  const int unitCount = makeUnits(values, units);

  // Of this lane's queries, 2 * quarter and the next.
  float unit[2] = {}, offset[2] = {}, largest[2] = {-INFINITY, -INFINITY}, total[2] = {};
#pragma unroll
  for (int q = 0; q < 2; ++q) {
    const int query = 2 * quarter + q;
    if (query >= queries) continue;
    unit[q] = run.units[2 * (firstHead + query)];
    offset[q] = run.units[2 * (firstHead + query) + 1];
  }
  __syncthreads();
  // Of each unit: this lane's word, and run | words | half of the word | bits before its codes.
  int words[kSlots], kinds[kSlots];
#pragma unroll
  for (int slot = 0; slot < kSlots; ++slot) {
    const Unit own = slot < unitCount ? units[slot] : Unit{0, -1, 0, 0, 0, 0};
    const int bits = PackedLatent::bits(max(int{own.run}, 0)), first = own.firstCode(lane / 4);
    // Words past the end of a run are other directions', and what comes of them is not kept.
    words[slot] = min(own.wordOf(lane / 4), valueWords - 1);
    kinds[slot] = own.run < 0 ? -1 : own.run | own.shift << 3 | (first >= 16 / bits) << 6 | bits * (first % (16 / bits)) << 7;
  }
  float sums[kSlots][kTiles][4] = {};
  const std::uint32_t magic = keptInRegister(0x64006400U);
  const bool hasNumbers = values.counts[0] > 0;

  for (int tile = 0; tile * kTile + warp * kRows < count; ++tile) {
    waitForCopies<kStages - 1>();
    __syncwarp();
    const std::uint32_t* stage = stages + tile % kStages * layout.stageWords;

    float scores[2][4];
#pragma unroll
    for (int i = 0; i < 8; ++i) scores[i / 4][i % 4] = -offset[i % 2];
    {
      const std::uint32_t* rows = stage + lane / 4 * keyStride;
      const uint2* at = fragments + lane;
#pragma unroll
      for (int r = 0; r < PackedLatent::kRuns; ++r) {
        const int words = keys.words(r);
        if (words == 0) continue;
        if (r == 0) scoreNumbers<Number>(scores, rows, keyStride, words, at);
        if (r == 1) scoreCodes<8>(scores, rows, keyStride, words, at, magic);
        if (r == 2) scoreCodes<4>(scores, rows, keyStride, words, at, magic);
        if (r == 3) scoreCodes<2>(scores, rows, keyStride, words, at, magic);
        if (r == 4) scoreCodes<1>(scores, rows, keyStride, words, at, magic);
        at += stepsOf(keys, r) * 32;
        rows += words;
      }
    }
    float peak[2] = {largest[0], largest[1]};
    const int left = count - tile * kTile - warp * kRows - lane / 4;
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        scores[m][i] = m * 16 + i / 2 * 8 < left ? scores[m][i] * unit[i % 2] : -INFINITY;
        peak[i % 2] = fmaxf(peak[i % 2], scores[m][i]);
      }
    float correction[2] = {1, 1};
#pragma unroll
    for (int q = 0; q < 2; ++q) {
      if (q == 1 && queries == 1) break;
#pragma unroll
      for (int distance = 4; distance < 32; distance *= 2) peak[q] = fmaxf(peak[q], __shfl_xor_sync(0xffffffffU, peak[q], distance));
      correction[q] = powerOfTwo(largest[q] - peak[q]);
      largest[q] = peak[q];
      total[q] *= correction[q];
      __half rounded[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        rounded[i] = __float2half_rn(powerOfTwo(scores[i / 2][i % 2 * 2 + q] - peak[q]));
        total[q] += toFloat(rounded[i]);
      }
      if (2 * quarter + q < queries) {
        const int at = (2 * quarter + q) * kProbabilityStride + lane / 4;
#pragma unroll
        for (int i = 0; i < 4; ++i) probabilities[at + 8 * i] = rounded[i];
        if (hasNumbers)
#pragma unroll
          for (int i = 0; i < 4; ++i) numberProbabilities[at + 8 * i] = fromFloat<Number>(toFloat(rounded[i]));
      }
    }
    if (__any_sync(0xffffffffU, correction[0] != 1.0f || correction[1] != 1.0f))
#pragma unroll
      for (int i = 0; i < kSlots * kTiles * 4; ++i) sums[i / (kTiles * 4)][i / 4 % kTiles][i % 4] *= correction[i % 2];
    __syncwarp();

    std::uint32_t p[2][2] = {}, numbers[2][2] = {};
    if (lane / 4 < queries) {
      const int at = lane / 4 * kProbabilityStride + 2 * quarter;
#pragma unroll
      for (int i = 0; i < 4; ++i) p[i / 2][i % 2] = *reinterpret_cast<const std::uint32_t*>(probabilities + at + 8 * i);
      if (hasNumbers)
#pragma unroll
        for (int i = 0; i < 4; ++i) numbers[i / 2][i % 2] = *reinterpret_cast<const std::uint32_t*>(numberProbabilities + at + 8 * i);
    }
    const std::uint32_t* rows = stage + layout.keyWords + 2 * quarter * valueStride;
#pragma unroll
    for (int slot = 0; slot < kSlots; ++slot) {
      const int kind = kinds[slot];
      if (kind < 0) break;
      const std::uint32_t* word = rows + words[slot];
      switch (kind & 7) {
        case 0: sumNumbers<Number>(sums[slot], word, valueStride, numbers); break;
        case 1: sumCodes<8>(sums[slot], kind, word, valueStride, p, magic); break;
        case 2: sumCodes<4>(sums[slot], kind, word, valueStride, p, magic); break;
        case 3: sumCodes<2>(sums[slot], kind, word, valueStride, p, magic); break;
        default: sumCodes<1>(sums[slot], kind, word, valueStride, p, magic); break;
      }
    }
    __syncwarp();
    load(tile + kStages);
  }

  // What the warps found, in the largest one's unit.
  const int sumStride = queries * values.rank;
  auto* shared = reinterpret_cast<float*>(memory + layout.sums);  // [warps][queries][rank]
  auto* scales = reinterpret_cast<float*>(memory + layout.scales);
  float* totals = scales + kWarps * kMaximumQueries;
#pragma unroll
  for (int q = 0; q < 2; ++q) {
#pragma unroll
    for (int distance = 4; distance < 32; distance *= 2) total[q] += __shfl_xor_sync(0xffffffffU, total[q], distance);
    if (lane < 4) scales[warp * kMaximumQueries + 2 * lane + q] = largest[q];
  }
  __syncthreads();
  float top[2], factor[2];
#pragma unroll
  for (int q = 0; q < 2; ++q) {
    top[q] = scales[2 * quarter + q];
    for (int other = 1; other < kWarps; ++other) top[q] = fmaxf(top[q], scales[other * kMaximumQueries + 2 * quarter + q]);
    factor[q] = powerOfTwo(largest[q] - top[q]);
    if (lane < 4) totals[warp * kMaximumQueries + 2 * lane + q] = total[q] * factor[q];
  }
#pragma unroll
  for (int slot = 0; slot < kSlots; ++slot) {
    if (slot >= unitCount) break;
    const Unit own = units[slot];
    const int bits = PackedLatent::bits(own.run);
    const int share = own.share(), first = (own.wordOf(lane / 4) - own.word) * (32 / bits) + own.firstCode(lane / 4);
#pragma unroll
    for (int i = 0; i < kTiles * 4; ++i) {
      const int within = 2 * (i / 4) + i % 4 / 2, query = 2 * quarter + i % 2;
      if (within >= share || first + within >= own.directions || query >= queries) continue;
      float value = sums[slot][i / 4][i % 4];
      if (own.run != 0) value = (value - kBase * total[i % 2]) / static_cast<float>(1 << bits * (within % (8 / bits)));
      shared[warp * sumStride + query * values.rank + own.direction + first + within] = value * factor[i % 2];
    }
  }
  __syncthreads();
  const auto place = [&](int query) { return (firstHead + query) * gridDim.x + blockIdx.x; };
  const auto sumOf = [&](int query) {
    float sum = 0;
    for (int other = 0; other < kWarps; ++other) sum += totals[other * kMaximumQueries + query];
    return sum;
  };
  if (warp == 0 && lane < 4)
#pragma unroll
    for (int q = 0; q < 2; ++q) {
      const int query = 2 * lane + q;
      if (query >= queries) continue;
      run.statistics[place(query) * 2] = top[q];
      run.statistics[place(query) * 2 + 1] = sumOf(query);
    }
  for (int i = threadIdx.x; i < queries * values.rank; i += kThreads) {
    const int query = i / values.rank, direction = i - query * values.rank;
    int bits = 16;
    for (int r = 0, end = values.counts[0]; direction >= end; end += values.counts[++r]) bits /= 2;
    float value = 0;
    for (int other = 0; other < kWarps; ++other) value += shared[other * sumStride + i];
    if (bits != 16) value = (value - middleOf(bits) * sumOf(query)) * values.steps[direction];
    run.partials[place(query) * run.maximumRank + direction] = value;
  }
}

template <class Number, int kSlots>
const char* launch(const DirectAttentionRun& run) {
  const SharedLayout layout(run.maximumKeyWords, run.maximumValueWords, run.queriesPerHead, run.maximumRank);
  cudaError_t error = cudaFuncSetAttribute(segmentKernel<Number, kSlots>, cudaFuncAttributeMaxDynamicSharedMemorySize, layout.bytes);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  const int segments = (run.tokens + run.segment - 1) / run.segment;
  error = launchKernel(prepareKernel<Number>, dim3(run.queryHeads, run.batch), dim3(kPrepareThreads), 0, run);
  if (error == cudaSuccess)
    error = launchKernel(segmentKernel<Number, kSlots>, dim3(segments, run.queryHeads / run.queriesPerHead, run.batch), dim3(kThreads), layout.bytes, run);
  if (error == cudaSuccess)
    error = launchKernel(combineKernel<Number, DirectAttentionRun>, dim3(run.queryHeads, run.batch), dim3(kCombineThreads), 0, run, segments, run.maximumRank);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template <class Number>
const char* launch(const DirectAttentionRun& run) {
  if (run.maximumValueUnits <= 2) return launch<Number, 2>(run);
  return run.maximumValueUnits <= 4 ? launch<Number, 4>(run) : launch<Number, 7>(run);
}

}  // namespace

const char* directAttention(const DirectAttentionRun& run, HalfType type, int device) {
  if (run.queriesPerHead > kMaximumQueries || run.maximumRank > kPrepareRounds * kPrepareThreads || run.maximumValueUnits > 7 ||
      run.segment % kTile != 0)
    return "the shapes do not fit this kernel";
  const cudaError_t error = cudaSetDevice(device);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  return type == HalfType::bfloat16 ? launch<__nv_bfloat16>(run) : launch<__half>(run);
}

}  // namespace kvista

extern "C" const kvista::LatentAttentionKernels* kvistaLatentAttentionKernels() {
  static constexpr kvista::LatentAttentionKernels kKernels{kvista::rebuiltAttention, kvista::directAttention};
  return &kKernels;
}
