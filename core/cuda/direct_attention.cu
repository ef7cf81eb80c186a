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
constexpr int kRows = 32;   // Tokens that a warp takes at a time.
constexpr int kStages = 2;  // Of them that are in shared memory.
constexpr int kTile = kWarps * kRows;
constexpr int kMaximumQueries = 8;
constexpr int kProbabilityStride = kRows + 8;
constexpr int kPrepareThreads = 512;
constexpr int kMaximumRank = 512;
constexpr int kMaximumSlots = 24;

/// Words between records in shared memory: an odd multiple of 4, so that the accesses below meet no bank twice.
__host__ __device__ constexpr int strideOf(int words) { return words % 8 == 0 ? words + 4 : words; }

struct SharedLayout {
  int stages, stageWords, keyWords, probabilities, numberProbabilities, fragments, keyFours, valueFours, sums, scales,
      bytes;

  __host__ __device__ SharedLayout(int keyStride, int valueStride, int queries, int rank, int valueUnits) {
    int end = 0;
    const auto take = [&end](int size) {
      const int begin = end;
      end += (size + 15) / 16 * 16;
      return begin;
    };
    keyWords = kRows * keyStride;
    stageWords = keyWords + kRows * valueStride;
    stages = take(kWarps * kStages * stageWords * 4);
    probabilities = take(kWarps * queries * kProbabilityStride * 2);
    numberProbabilities = take(kWarps * queries * kProbabilityStride * 2);
    // Steps of 16 directions; codes of 8 bits count twice, and the last words of each run may hold fours of nothing.
    const int steps = rank / 16 + keyStride / 4 + 6;
    fragments = take(steps * 32 * 8);
    keyFours = take(steps * 4 * sizeof(FourCodes));
    valueFours = take(kMaximumSlots * 8 * sizeof(FourCodes));
    sums = take(kWarps * queries * valueUnits * 32 * 4);
    scales = take(2 * kWarps * kMaximumQueries * 4);
    bytes = end;
  }
};

/// The query carried into the latent of its head's keys: weights of each direction as 16-bit numbers between -1 and 1,
/// the unit that they are in, and what the offset of the codes adds. One block a query head and sequence; its warps
/// share the query's numbers.
template <class Number>
__global__ void __launch_bounds__(kPrepareThreads) prepareKernel(const DirectAttentionRun run) {
  constexpr int kPrepareWarps = kPrepareThreads / 32;
  __shared__ float parts[kPrepareWarps][kMaximumRank];
  letNextBegin();
  __shared__ float reduction[2];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int head = blockIdx.x;
  const std::int64_t place = std::int64_t{blockIdx.y} * run.queryHeads + head;
  const PackedLatent keys = run.groups[head / run.queriesPerHead].keys;
  const auto* query = static_cast<const Number*>(run.queries) + place * run.width;
  const auto* up = static_cast<const Number*>(keys.up);
  if (threadIdx.x < 2) reduction[threadIdx.x] = 0;
  constexpr int kAhead = 4;  // Loads under way at a time: nothing else hides their latency.
  for (int begin = lane; begin < keys.rank; begin += 32 * kAhead) {
    float sums[kAhead] = {};
#pragma unroll 8
    for (int d = warp; d < run.width; d += kPrepareWarps) {
      const float number = toFloat(query[d]);
#pragma unroll
      for (int k = 0; k < kAhead; ++k)
        sums[k] += toFloat(up[d * keys.rank + min(begin + 32 * k, keys.rank - 1)]) * number;
    }
#pragma unroll
    for (int k = 0; k < kAhead; ++k)
      if (begin + 32 * k < keys.rank) parts[warp][begin + 32 * k] = sums[k];
  }
  __syncthreads();
  float largest = 0;
  for (int i = threadIdx.x; i < keys.rank; i += kPrepareThreads) {
    float sum = 0;
#pragma unroll
    for (int other = 0; other < kPrepareWarps; ++other) sum += parts[other][i];
    parts[0][i] = sum * keys.steps[i] * run.scale * 1.4426950408889634f;
    largest = fmaxf(largest, fabsf(parts[0][i]));
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffU, largest, distance));
  if (lane == 0)
    atomicMax(reinterpret_cast<int*>(&reduction[0]),
              __float_as_int(largest));  // Floats that are not negative sort as integers.
  __syncthreads();
  const float unit = reduction[0] > 0 ? reduction[0] : 1.0f;
  auto* weights = static_cast<std::uint16_t*>(run.weights) + place * run.maximumRank;
  float offset = 0;
  for (int i = threadIdx.x; i < keys.rank; i += kPrepareThreads) {
    if (i < keys.counts[0]) {
      const Number weight = fromFloat<Number>(parts[0][i] / unit);
      weights[i] = *reinterpret_cast<const std::uint16_t*>(&weight);
      continue;
    }
    int bits = 8, begin = keys.counts[0];
    for (int r = 1; i >= begin + keys.counts[r]; begin += keys.counts[r++]) bits /= 2;
    const float scale = scaleOf(bits, i - begin);
    const __half weight = __float2half_rn(parts[0][i] / unit / scale);
    weights[i] = *reinterpret_cast<const std::uint16_t*>(&weight);
    offset += toFloat(weight) * (basesOf(bits) + middleOf(bits) * scale);
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) offset += __shfl_xor_sync(0xffffffffU, offset, distance);
  if (lane == 0) atomicAdd(&reduction[1], offset);
  __syncthreads();
  if (threadIdx.x == 0) {
    run.units[2 * place] = unit;
    run.units[2 * place + 1] = reduction[1];
  }
}

/// The operand of the scores, in the order in which numbers and codes meet it.
__device__ void makeFragments(const DirectAttentionRun& run, const PackedLatent& keys, const std::uint16_t* weights,
                              uint2* fragments) {
  const int before = numberSteps(keys), steps = before + codeSteps(keys);
  for (int i = threadIdx.x; i < steps * 32; i += kThreads) {
    const int step = i / 32, column = i % 32 / 4, quarter = i % 4;
    Place place{};
    const bool coded = step >= before && findPlace(keys, (step - before) * 4 + quarter, place);
    std::uint32_t entries[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      // Registers 0 and 1 hold two numbers each.
      bool there;
      int direction;
      if (step < before) {
        direction = (step * 8 + 2 * quarter + e / 2) * 2 + e % 2;
        there = direction < keys.counts[0];
      } else {
        const int within = coded ? place.withinOf(e / 2, e % 2) : 0;
        direction = place.begin + within;
        there = coded && within < keys.counts[place.run];
      }
      entries[e] = there && column < run.queriesPerHead ? weights[column * run.maximumRank + direction] : 0;
    }
    fragments[i] = uint2{entries[0] | entries[1] << 16, entries[2] | entries[3] << 16};
  }
}

/// One segment of one sequence for one head of keys and values and all its queries. Each warp goes through tokens of
/// its own, 32 at a time, and waits for nobody; at the end the block adds up. kSlots: of the values, at most; kStride:
/// words between records in shared memory, or 0 for what fits best.
template <class Number, int kSlots, int kStride>
__global__ void __launch_bounds__(kThreads, kSlots <= 4   ? 4
                                            : kSlots <= 8 ? 3
                                                          : 2) segmentKernel(const DirectAttentionRun run) {
  unsigned char* const memory = sharedMemory();
  letNextBegin();
  const PackedLatent keys = run.groups[blockIdx.x].keys, values = run.groups[blockIdx.x].values;
  const int keyWords = keys.words(), valueWords = values.words();
  const int queries = run.queriesPerHead;
  const std::int64_t batch = blockIdx.z;
  const int begin = static_cast<int>(blockIdx.y) * run.segment;
  const int count = min(run.segment, run.tokens - begin);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, quarter = lane % 4;
  const int keyStride = kStride > 0 ? kStride : strideOf(keyWords),
            valueStride = kStride > 0 ? kStride : strideOf(valueWords);
  const SharedLayout layout(kStride > 0 ? kStride : strideOf(run.maximumKeyWords),
                            kStride > 0 ? kStride : strideOf(run.maximumValueWords), queries, run.maximumRank,
                            run.maximumValueUnits);
  auto* stages = reinterpret_cast<std::uint32_t*>(memory + layout.stages) + warp * kStages * layout.stageWords;
  auto* probabilities = reinterpret_cast<__half*>(memory + layout.probabilities) + warp * queries * kProbabilityStride;
  auto* numberProbabilities =
      reinterpret_cast<Number*>(memory + layout.numberProbabilities) + warp * queries * kProbabilityStride;
  auto* fragments = reinterpret_cast<uint2*>(memory + layout.fragments);
  auto* keyFours = reinterpret_cast<FourCodes*>(memory + layout.keyFours);
  auto* valueFours = reinterpret_cast<FourCodes*>(memory + layout.valueFours);

  const char* keysFrom =
      static_cast<const char*>(run.keys) + batch * run.keyBatchStride + begin * run.keyTokenStride + keys.offset;
  const char* valuesFrom = static_cast<const char*>(run.values) + batch * run.valueBatchStride +
                           begin * run.valueTokenStride + values.offset;
  RowCopier keyCopier(keysFrom + warp * kRows * run.keyTokenStride, run.keyTokenStride, keyStride * 4, keyWords * 4,
                      kRows, lane, 32);
  RowCopier valueCopier(valuesFrom + warp * kRows * run.valueTokenStride, run.valueTokenStride, valueStride * 4,
                        valueWords * 4, kRows, lane, 32);
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
  const std::int64_t firstHead = batch * run.queryHeads + static_cast<std::int64_t>(blockIdx.x) * queries;
  const int before = numberSteps(keys), steps = codeSteps(keys);
  for (int i = threadIdx.x; i < steps * 4; i += kThreads) keyFours[i] = describe(keys, i);
  const int slotsOfNumbers = numberSlots(values), slots = values.units();
  for (int i = threadIdx.x; i < slots * 8; i += kThreads) {
    // Words past the end are other directions', and what comes of them is not kept.
    const int first = i / 8 * 16 + i % 8;
    valueFours[i] = i / 8 < slotsOfNumbers ? FourCodes{static_cast<std::uint32_t>(min(first, valueWords - 1)),
                                                       static_cast<std::uint32_t>(min(first + 8, valueWords - 1)), 0, 0}
                                           : describe(values, i - slotsOfNumbers * 8);
  }

  waitForPrevious();
  makeFragments(run, keys, static_cast<const std::uint16_t*>(run.weights) + firstHead * run.maximumRank, fragments);
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
  float sums[kSlots][2][4] = {};
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
      if (before > 0) scoreNumbers<Number>(scores, rows, keyStride, keys.words(0), fragments + lane);
      scoreCodes(scores, rows, keyStride, steps, keyFours + quarter, fragments + before * 32 + lane, magic);
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
      for (int distance = 4; distance < 32; distance *= 2)
        peak[q] = fmaxf(peak[q], __shfl_xor_sync(0xffffffffU, peak[q], distance));
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
      for (int i = 0; i < kSlots * 8; ++i) sums[i / 8][i / 4 % 2][i % 4] *= correction[i % 2];
    __syncwarp();

    std::uint32_t p[2][2] = {}, numbers[2][2] = {};
    if (lane / 4 < queries) {
      const int at = lane / 4 * kProbabilityStride + 2 * quarter;
#pragma unroll
      for (int i = 0; i < 4; ++i) p[i / 2][i % 2] = *reinterpret_cast<const std::uint32_t*>(probabilities + at + 8 * i);
      if (hasNumbers)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          numbers[i / 2][i % 2] = *reinterpret_cast<const std::uint32_t*>(numberProbabilities + at + 8 * i);
    }
    const std::uint32_t* rows = stage + layout.keyWords + 2 * quarter * valueStride;
#pragma unroll
    for (int slot = 0; slot < kSlots; ++slot) {
      if (slot >= slots) break;
      const FourCodes four = valueFours[slot * 8 + lane / 4];
      if (slot < slotsOfNumbers) {
        sumNumbers<Number>(sums[slot], four, rows, valueStride, numbers);
      } else {
        sumCodes(sums[slot], four, rows, valueStride, p, magic);
      }
    }
    __syncwarp();
    load(tile + kStages);
  }

  // What the warps found, in the largest one's unit.
  auto* shared = reinterpret_cast<float*>(memory + layout.sums);  // [warps][places][queries], places as placeOf says
  const int placesOfWarp = slots * 32;
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
    for (int other = 1; other < kWarps; ++other)
      top[q] = fmaxf(top[q], scales[other * kMaximumQueries + 2 * quarter + q]);
    factor[q] = powerOfTwo(largest[q] - top[q]);
    if (lane < 4) totals[warp * kMaximumQueries + 2 * lane + q] = total[q] * factor[q];
  }
#pragma unroll
  for (int slot = 0; slot < kSlots; ++slot) {
    if (slot >= slots) break;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int query = 2 * quarter + i % 2;
      if (query < queries)
        shared[(warp * placesOfWarp + slot * 32 + i / 2 * 8 + lane / 4) * queries + query] =
            sums[slot][i / 4][i % 4] * factor[i % 2];
    }
  }
  __syncthreads();
  const auto place = [&](int query) { return (firstHead + query) * gridDim.y + blockIdx.y; };
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
    const SummedPlace at = placeOf(values, direction);
    float value = 0;
    for (int other = 0; other < kWarps; ++other)
      for (int part = 0; part < (at.bits == 8 ? 2 : 1); ++part)
        value += shared[(other * placesOfWarp + at.place + part * 8) * queries + query];
    if (at.bits != 16) {
      const float sum = sumOf(query);
      value = ((value - basesOf(at.bits) * sum) / scaleOf(at.bits, at.within) - middleOf(at.bits) * sum) *
              values.steps[direction];
    }
    run.partials[place(query) * run.maximumRank + direction] = value;
  }
}

template <class Number, int kSlots, int kStride>
const char* launch(const DirectAttentionRun& run) {
  const SharedLayout layout(kStride > 0 ? kStride : strideOf(run.maximumKeyWords),
                            kStride > 0 ? kStride : strideOf(run.maximumValueWords), run.queriesPerHead,
                            run.maximumRank, run.maximumValueUnits);
  cudaError_t error = cudaFuncSetAttribute(segmentKernel<Number, kSlots, kStride>,
                                           cudaFuncAttributeMaxDynamicSharedMemorySize, layout.bytes);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  const int segments = (run.tokens + run.segment - 1) / run.segment;
  error = launchKernel(prepareKernel<Number>, dim3(run.queryHeads, run.batch), dim3(kPrepareThreads), 0, run);
  if (error == cudaSuccess)
    error =
        launchNext(segmentKernel<Number, kSlots, kStride>,
                   dim3(run.queryHeads / run.queriesPerHead, segments, run.batch), dim3(kThreads), layout.bytes, run);
  if (error == cudaSuccess) error = launchCombine<Number>(run, segments, 1, run.maximumRank);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template <class Number>
const char* launch(const DirectAttentionRun& run) {
  if (run.maximumKeyWords <= 16 && run.maximumValueWords <= 16 && run.maximumValueUnits <= 8)
    return run.maximumValueUnits <= 4 ? launch<Number, 4, 20>(run) : launch<Number, 8, 20>(run);
  return run.maximumValueUnits <= 8 ? launch<Number, 8, 0>(run) : launch<Number, kMaximumSlots, 0>(run);
}

}  // namespace

const char* directAttention(const DirectAttentionRun& run, HalfType type, int device) {
  if (run.queriesPerHead > kMaximumQueries || run.maximumRank > kMaximumRank || run.maximumValueUnits > kMaximumSlots ||
      run.segment % kTile != 0)
    return "the shapes do not fit this kernel";
  const cudaError_t error = cudaSetDevice(device);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  return type == HalfType::bfloat16 ? launch<__nv_bfloat16>(run) : launch<__half>(run);
}

}  // namespace kvista

extern "C" const kvista::LatentAttentionKernels* kvistaLatentAttentionKernels() {
  static constexpr kvista::LatentAttentionKernels kKernels{kvista::rebuiltAttention, kvista::blocksByWarpgroups,
                                                           kvista::directAttention};
  return &kKernels;
}
