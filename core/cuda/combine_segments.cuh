// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "core/cuda/latent_attention.h"
#include "core/cuda/tensor_core.cuh"

namespace kvista {

inline constexpr int kCombineThreads = 256;

/// What lifts the values' latents of a head: [width, rank].
struct Lift {
  const void* up;
  int rank;
};
__device__ inline Lift liftOf(const RebuiltAttentionRun& run, int keyHead, std::size_t bytes) {
  const RebuiltGroup& group = run.groups[keyHead / run.headsPerGroup];
  return {static_cast<const char*>(group.valueUp) +
              std::int64_t{keyHead - group.firstHead} * run.width * group.valueRank * bytes,
          group.valueRank};
}
__device__ inline Lift liftOf(const DirectAttentionRun& run, int keyHead, std::size_t) {
  const PackedLatent& values = run.groups[keyHead].values;
  return {values.up, values.rank};
}

/// The largest, or the sum, over a block of kCombineThreads, for all of them. scratch: one float a warp.
template <class Operation>
__device__ float overBlock(float value, float* scratch, Operation operation) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value = operation(value, __shfl_xor_sync(0xffffffffU, value, distance));
  __syncthreads();
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  value = scratch[0];
#pragma unroll
  for (int warp = 1; warp < kCombineThreads / 32; ++warp) value = operation(value, scratch[warp]);
  return value;
}

/// Adds the segments up in the latent and lifts once. Blocks: query heads, sequences, parts of a head's result; warps
/// share the segments, then the numbers of the result, and lanes are neighbours in memory. The first of `each` segments
/// stands for all of them.
template <class Number, class Run>
__global__ void __launch_bounds__(kCombineThreads)
    combineKernel(const Run run, int segments, int each, int partialStride) {
  constexpr int kMaximumRank = 512, kAtOnce = 1024, kAhead = 8, kWarps = kCombineThreads / 32;
  __shared__ float parts[kWarps][kMaximumRank];
  __shared__ float weights[kAtOnce];
  __shared__ float scratch[kWarps];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int head = blockIdx.x;
  const std::int64_t place = std::int64_t{blockIdx.y} * run.queryHeads + head;
  const Lift lift = liftOf(run, head / run.queriesPerHead, sizeof(Number));
  const Number* up = static_cast<const Number*>(lift.up);
  const int ofPart = run.width / static_cast<int>(gridDim.z),
            end = ofPart * (static_cast<int>(blockIdx.z) + 1);  // widths are multiples of 32
  for (int i = (end - ofPart) * lift.rank + threadIdx.x * (128 / static_cast<int>(sizeof(Number))); i < end * lift.rank;
       i += kCombineThreads * (128 / static_cast<int>(sizeof(Number))))
    tensor_core::prefetch(up + i);
  tensor_core::waitForPrevious();
  const float* statistics = run.statistics + place * segments * 2;
  const float* partials = run.partials + place * segments * partialStride;
  const int count = (segments + each - 1) / each;
  float peak = -INFINITY;
  for (int s = threadIdx.x; s < count; s += kCombineThreads) peak = fmaxf(peak, statistics[2 * s * each]);
  peak = overBlock(peak, scratch, [](float a, float b) { return fmaxf(a, b); });
  float total = 0;
  for (int s = threadIdx.x; s < count; s += kCombineThreads)
    total += exp2f(statistics[2 * s * each] - peak) * statistics[2 * s * each + 1];
  total = overBlock(total, scratch, [](float a, float b) { return a + b; });
  for (int i = lane; i < lift.rank; i += 32) parts[warp][i] = 0;
  for (int first = 0; first < count; first += kAtOnce) {
    const int here = min(kAtOnce, count - first);
    __syncthreads();
    for (int s = threadIdx.x; s < here; s += kCombineThreads)
      weights[s] = exp2f(statistics[2 * (first + s) * each] - peak) / total;
    __syncthreads();
    for (int begin = lane; begin < lift.rank; begin += 32 * kAhead) {
      const float* from = partials + std::int64_t{first} * each * partialStride + begin;
      float values[kAhead] = {};
#pragma unroll 2
      for (int s = warp; s < here; s += kWarps) {
#pragma unroll
        for (int k = 0; k < kAhead; ++k)
          if (begin + 32 * k < lift.rank)
            values[k] += weights[s] * from[std::int64_t{s} * each * partialStride + 32 * k];
      }
#pragma unroll
      for (int k = 0; k < kAhead; ++k)
        if (begin + 32 * k < lift.rank) parts[warp][begin + 32 * k] += values[k];
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < lift.rank; i += kCombineThreads) {
    float value = 0;
#pragma unroll
    for (int other = 0; other < kWarps; ++other) value += parts[other][i];
    parts[0][i] = value;
  }
  __syncthreads();
  for (int begin = end - ofPart + warp; begin < end; begin += kWarps * kAhead) {
    float values[kAhead] = {};
#pragma unroll 2
    for (int i = lane; i < lift.rank; i += 32)
#pragma unroll
      for (int k = 0; k < kAhead; ++k)
        values[k] += parts[0][i] * tensor_core::toFloat(up[min(begin + k * kWarps, end - 1) * lift.rank + i]);
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
#pragma unroll
      for (int distance = 16; distance > 0; distance /= 2)
        values[k] += __shfl_xor_sync(0xffffffffU, values[k], distance);
      if (lane == 0 && begin + k * kWarps < end)
        static_cast<Number*>(run.result)[place * run.width + begin + k * kWarps] =
            tensor_core::fromFloat<Number>(values[k]);
    }
  }
}

template <class Number, class Run>
cudaError_t launchCombine(const Run& run, int segments, int each, int partialStride) {
  // Where there are few heads and sequences, lifting takes longer than to add the segments up several times.
  unsigned parts = 1;
  while (parts < 8 && std::int64_t{run.queryHeads} * run.batch * parts * 2 <= 256) parts *= 2;
  return tensor_core::launchNext(combineKernel<Number, Run>, dim3(run.queryHeads, run.batch, parts),
                                 dim3(kCombineThreads), 0, run, segments, each, partialStride);
}

}  // namespace kvista
