// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/fused_kernels.h"

#include "core/cuda/tensor_core.cuh"

namespace kvista {
namespace {

using tensor_core::fromFloat;
using tensor_core::toFloat;

constexpr int kThreads = 256;

/// The sum over a block of kThreads, for every thread of it.
__device__ float sumOfBlock(float value) {
  __shared__ float parts[kThreads / 32];
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffU, value, distance);
  __syncthreads();  // whoever still reads the sum before this one
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < kThreads / 32; ++i) sum += parts[i];
  return sum;
}

template <class Number>
__global__ void rmsNormKernel(RmsNormRun run) {
  const std::int64_t row = blockIdx.x;
  const auto* x = static_cast<const Number*>(run.x) + row * run.width;
  const auto* weight = static_cast<const Number*>(run.weight);
  auto* result = static_cast<Number*>(run.result) + row * run.width;
  float squares = 0;
  for (std::int64_t i = threadIdx.x; i < run.width; i += kThreads) {
    const float value = toFloat(x[i]);
    squares += value * value;
  }
  const float scale = 1.0f / sqrtf(sumOfBlock(squares) / static_cast<float>(run.width) + run.epsilon);
  if (threadIdx.x == 0) run.scales[row] = scale;
  for (std::int64_t i = threadIdx.x; i < run.width; i += kThreads)
    result[i] = fromFloat<Number>(toFloat(x[i]) * scale * toFloat(weight[i]));
}

template <class Number>
__global__ void rmsNormGradientKernel(RmsNormGradientRun run) {
  const std::int64_t row = blockIdx.x;
  const auto* x = static_cast<const Number*>(run.x) + row * run.width;
  const auto* weight = static_cast<const Number*>(run.weight);
  const auto* gradient = static_cast<const Number*>(run.gradient) + row * run.width;
  auto* result = static_cast<Number*>(run.result) + row * run.width;
  float dot = 0;
  for (std::int64_t i = threadIdx.x; i < run.width; i += kThreads) dot += toFloat(gradient[i]) * toFloat(weight[i]) * toFloat(x[i]);
  const float scale = run.scales[row];
  const float pull = sumOfBlock(dot) * scale * scale / static_cast<float>(run.width);
  for (std::int64_t i = threadIdx.x; i < run.width; i += kThreads)
    result[i] = fromFloat<Number>(scale * (toFloat(gradient[i]) * toFloat(weight[i]) - toFloat(x[i]) * pull));
}

__device__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

template <class Number>
__global__ void siluGateKernel(SiluGateRun run) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= run.count) return;
  const float x = toFloat(static_cast<const Number*>(run.gate)[i]);
  static_cast<Number*>(run.result)[i] = fromFloat<Number>(x * sigmoid(x) * toFloat(static_cast<const Number*>(run.up)[i]));
}

template <class Number>
__global__ void siluGateGradientKernel(SiluGateGradientRun run) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= run.count) return;
  const float x = toFloat(static_cast<const Number*>(run.gate)[i]);
  const float above = toFloat(static_cast<const Number*>(run.gradient)[i]);
  const float share = sigmoid(x);
  static_cast<Number*>(run.toGate)[i] =
      fromFloat<Number>(above * toFloat(static_cast<const Number*>(run.up)[i]) * share * (1.0f + x * (1.0f - share)));
  static_cast<Number*>(run.toUp)[i] = fromFloat<Number>(above * x * share);
}

/// One thread a pair, and one for each number that is carried over.
template <class Number>
__global__ void rotateKernel(RotateRun run) {
  const std::int64_t perHead = run.width - run.pairs;
  const std::int64_t index = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t head = index / perHead;  // over batches, tokens and heads
  if (head >= run.batches * run.tokens * run.heads) return;
  const std::int64_t j = index % perHead;
  const std::int64_t token = head / run.heads % run.tokens;
  const std::int64_t batch = head / run.heads / run.tokens;
  const auto* from = static_cast<const Number*>(run.x) + batch * run.batchStride + token * run.tokenStride + head % run.heads * run.headStride;
  auto* to = static_cast<Number*>(run.result) + head * run.width;
  if (j >= run.pairs) {
    to[j + run.pairs] = from[j + run.pairs];
    return;
  }
  const float cosine = run.cosine[token * run.pairs + j];
  const float sine = run.direction * run.sine[token * run.pairs + j];
  const float first = toFloat(from[j]);
  const float second = toFloat(from[j + run.pairs]);
  to[j] = fromFloat<Number>(first * cosine - second * sine);
  to[j + run.pairs] = fromFloat<Number>(second * cosine + first * sine);
}

/// Queues `blocks` blocks of a kernel in either number type.
template <class Run>
const char* launch(void (*ofFloat)(Run), void (*ofBfloat16)(Run), const Run& run, NumberType type, int device, std::int64_t blocks) {
  if (blocks == 0) return nullptr;
  cudaError_t error = cudaSetDevice(device);
  if (error == cudaSuccess)
    error = tensor_core::launchKernel(type == NumberType::float32 ? ofFloat : ofBfloat16, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, run);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

std::int64_t blocksFor(std::int64_t threads) { return (threads + kThreads - 1) / kThreads; }

const FusedKernels kKernels = {
    [](const RmsNormRun& run, NumberType type, int device) {
      return launch(rmsNormKernel<float>, rmsNormKernel<__nv_bfloat16>, run, type, device, run.rows);
    },
    [](const RmsNormGradientRun& run, NumberType type, int device) {
      return launch(rmsNormGradientKernel<float>, rmsNormGradientKernel<__nv_bfloat16>, run, type, device, run.rows);
    },
    [](const SiluGateRun& run, NumberType type, int device) {
      return launch(siluGateKernel<float>, siluGateKernel<__nv_bfloat16>, run, type, device, blocksFor(run.count));
    },
    [](const SiluGateGradientRun& run, NumberType type, int device) {
      return launch(siluGateGradientKernel<float>, siluGateGradientKernel<__nv_bfloat16>, run, type, device, blocksFor(run.count));
    },
    [](const RotateRun& run, NumberType type, int device) {
      return launch(rotateKernel<float>, rotateKernel<__nv_bfloat16>, run, type, device,
                    blocksFor(run.batches * run.tokens * run.heads * (run.width - run.pairs)));
    }};

}  // namespace
}  // namespace kvista

extern "C" const kvista::FusedKernels* kvistaCudaKernels() { return &kvista::kKernels; }
