// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "core/cuda/latent_attention.h"
#include "core/cuda/tensor_core.cuh"

namespace kvista {

inline constexpr int kCombineThreads = 128;

/// What lifts the values' latents of a head: [width, rank].
struct Lift {
  const void* up;
  int rank;
};
__device__ inline Lift liftOf(const RebuiltAttentionRun& run, int keyHead, std::size_t bytes) {
  const RebuiltGroup& group = run.groups[keyHead / run.headsPerGroup];
  return {static_cast<const char*>(group.valueUp) + std::int64_t{keyHead - group.firstHead} * run.width * group.valueRank * bytes, group.valueRank};
}
__device__ inline Lift liftOf(const DirectAttentionRun& run, int keyHead, std::size_t) {
  const PackedLatent& values = run.groups[keyHead].values;
  return {values.up, values.rank};
}

/// Adds the segments up in the latent and lifts once. One block a query head and sequence.
template <class Number, class Run>
__global__ void combineKernel(const Run run, int segments, int partialStride) {
  constexpr int kMaximumRank = 512, kAtOnce = 1024;
  __shared__ float latent[kMaximumRank];
  __shared__ float weights[kAtOnce];
  const int head = blockIdx.x;
  const std::int64_t place = std::int64_t{blockIdx.y} * run.queryHeads + head;
  const Lift lift = liftOf(run, head / run.queriesPerHead, sizeof(Number));
  const float* statistics = run.statistics + place * segments * 2;
  float peak = -INFINITY;
  for (int s = 0; s < segments; ++s) peak = fmaxf(peak, statistics[2 * s]);
  float total = 0;
  for (int s = 0; s < segments; ++s) total += exp2f(statistics[2 * s] - peak) * statistics[2 * s + 1];
  for (int i = threadIdx.x; i < lift.rank; i += kCombineThreads) latent[i] = 0;
  for (int first = 0; first < segments; first += kAtOnce) {
    const int here = min(kAtOnce, segments - first);
    __syncthreads();
    for (int s = threadIdx.x; s < here; s += kCombineThreads) weights[s] = exp2f(statistics[2 * (first + s)] - peak) / total;
    __syncthreads();
    for (int i = threadIdx.x; i < lift.rank; i += kCombineThreads) {
      float value = 0;
#pragma unroll 8
      for (int s = 0; s < here; ++s) value += weights[s] * run.partials[(place * segments + first + s) * partialStride + i];
      latent[i] += value;
    }
  }
  __syncthreads();
  for (int d = threadIdx.x; d < run.width; d += kCombineThreads) {
    const Number* up = static_cast<const Number*>(lift.up) + std::int64_t{d} * lift.rank;
    float value = 0;
    for (int i = 0; i < lift.rank; ++i) value += latent[i] * tensor_core::toFloat(up[i]);
    static_cast<Number*>(run.result)[place * run.width + d] = tensor_core::fromFloat<Number>(value);
  }
}

}  // namespace kvista
