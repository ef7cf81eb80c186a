// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <initializer_list>

#include "core/cuda/fused_kernels.h"
#include "core/cuda/tensor_core.cuh"
#include "core/cuda/trellis_row.h"

namespace kvista {
namespace {

using tensor_core::fromFloat;
using tensor_core::toFloat;

constexpr int kThreads = 256;
constexpr int kTrellisThreads = 32;  // few rows are to reach many multiprocessors

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
  for (std::int64_t i = threadIdx.x; i < run.width; i += kThreads)
    dot += toFloat(gradient[i]) * toFloat(weight[i]) * toFloat(x[i]);
  const float scale = run.scales[row];
  const float pull = sumOfBlock(dot) * scale * scale / static_cast<float>(run.width);
  for (std::int64_t i = threadIdx.x; i < run.width; i += kThreads)
    result[i] = fromFloat<Number>(scale * (toFloat(gradient[i]) * toFloat(weight[i]) - toFloat(x[i]) * pull));
}

__device__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/// Neighbours in memory that one thread moves together.
template <class Number, int kCount>
struct alignas(sizeof(Number) * kCount) Pack {
  Number numbers[kCount];
};

template <class Number, int kCount>
__device__ Pack<Number, kCount> packOf(const void* numbers, std::int64_t pack) {
  return static_cast<const Pack<Number, kCount>*>(numbers)[pack];
}

/// One thread a pack, as of the gradient.
template <class Number, int kCount>
__global__ void siluGateKernel(SiluGateRun run) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= run.count / kCount) return;
  const auto gate = packOf<Number, kCount>(run.gate, i), up = packOf<Number, kCount>(run.up, i);
  Pack<Number, kCount> result;
  for (int k = 0; k < kCount; ++k) {
    const float x = toFloat(gate.numbers[k]);
    result.numbers[k] = fromFloat<Number>(x * sigmoid(x) * toFloat(up.numbers[k]));
  }
  static_cast<Pack<Number, kCount>*>(run.result)[i] = result;
}

template <class Number, int kCount>
__global__ void siluGateGradientKernel(SiluGateGradientRun run) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= run.count / kCount) return;
  const auto gate = packOf<Number, kCount>(run.gate, i), up = packOf<Number, kCount>(run.up, i),
             gradient = packOf<Number, kCount>(run.gradient, i);
  Pack<Number, kCount> toGate, toUp;
  for (int k = 0; k < kCount; ++k) {
    const float x = toFloat(gate.numbers[k]);
    const float above = toFloat(gradient.numbers[k]);
    const float share = sigmoid(x);
    toGate.numbers[k] = fromFloat<Number>(above * toFloat(up.numbers[k]) * share * (1.0f + x * (1.0f - share)));
    toUp.numbers[k] = fromFloat<Number>(above * x * share);
  }
  static_cast<Pack<Number, kCount>*>(run.toGate)[i] = toGate;
  static_cast<Pack<Number, kCount>*>(run.toUp)[i] = toUp;
}

/// One block a token; its threads take packs of pairs, and of the numbers that are carried over.
template <class Number, int kCount>
__global__ void rotateKernel(RotateRun run) {
  using Numbers = Pack<Number, kCount>;
  const std::int64_t token = blockIdx.x % run.tokens;
  const auto* from =
      static_cast<const Number*>(run.x) + blockIdx.x / run.tokens * run.batchStride + token * run.tokenStride;
  auto* to = static_cast<Number*>(run.result) + std::int64_t{blockIdx.x} * run.heads * run.width;
  const auto width = static_cast<int>(run.width), pairs = static_cast<int>(run.pairs);
  const int packsPerHead = (width - pairs) / kCount;
  for (int i = threadIdx.x; i < static_cast<int>(run.heads) * packsPerHead; i += kThreads) {
    const int head = i / packsPerHead;
    const int j = i % packsPerHead * kCount;
    const Number* source = from + head * run.headStride;
    Number* target = to + head * width;
    if (j >= pairs) {
      *reinterpret_cast<Numbers*>(target + j + pairs) = *reinterpret_cast<const Numbers*>(source + j + pairs);
      continue;
    }
    const auto first = *reinterpret_cast<const Numbers*>(source + j),
               second = *reinterpret_cast<const Numbers*>(source + j + pairs);
    Numbers rotatedFirst, rotatedSecond;
    for (int k = 0; k < kCount; ++k) {
      const float cosine = run.cosine[token * pairs + j + k];
      const float sine = run.direction * run.sine[token * pairs + j + k];
      const float x = toFloat(first.numbers[k]), y = toFloat(second.numbers[k]);
      rotatedFirst.numbers[k] = fromFloat<Number>(x * cosine - y * sine);
      rotatedSecond.numbers[k] = fromFloat<Number>(y * cosine + x * sine);
    }
    *reinterpret_cast<Numbers*>(target + j) = rotatedFirst;
    *reinterpret_cast<Numbers*>(target + j + pairs) = rotatedSecond;
  }
}

/// A thread a row: a search is one step after the other, and there are rows enough where time counts. Neighbours'
/// scratch lies together.
__global__ void trellisKernel(TrellisRun run) {
  const std::int64_t row = std::int64_t{blockIdx.x} * kTrellisThreads + threadIdx.x;
  if (row >= run.rows) return;
  trellis::codeRow(run.numbers + row * run.count, run.count, run.bits, run.codes + row * run.count, run.path + row,
                   run.rows);
}

/// Queues `blocks` blocks of a kernel in either number type.
template <class Run>
const char* launch(void (*ofFloat)(Run), void (*ofBfloat16)(Run), const Run& run, NumberType type, int device,
                   std::int64_t blocks) {
  if (blocks == 0) return nullptr;
  cudaError_t error = cudaSetDevice(device);
  if (error == cudaSuccess)
    error = tensor_core::launchKernel(type == NumberType::float32 ? ofFloat : ofBfloat16,
                                      dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, run);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

std::int64_t blocksFor(std::int64_t threads) { return (threads + kThreads - 1) / kThreads; }

/// Whether packs of `count` numbers begin at each of these places.
bool fitPacks(int count, NumberType type, std::initializer_list<const void*> pointers,
              std::initializer_list<std::int64_t> lengths) {
  const std::uintptr_t bytes =
      static_cast<std::uintptr_t>(count) * (type == NumberType::float32 ? sizeof(float) : sizeof(__nv_bfloat16));
  for (const void* pointer : pointers)
    if (reinterpret_cast<std::uintptr_t>(pointer) % bytes != 0) return false;
  for (const std::int64_t length : lengths)
    if (length % count != 0) return false;
  return true;
}

constexpr int kPack = 4;  // 16 or 8 bytes a thread

const FusedKernels kKernels = {
    [](const RmsNormRun& run, NumberType type, int device) {
      return launch(rmsNormKernel<float>, rmsNormKernel<__nv_bfloat16>, run, type, device, run.rows);
    },
    [](const RmsNormGradientRun& run, NumberType type, int device) {
      return launch(rmsNormGradientKernel<float>, rmsNormGradientKernel<__nv_bfloat16>, run, type, device, run.rows);
    },
    [](const SiluGateRun& run, NumberType type, int device) {
      if (fitPacks(kPack, type, {run.gate, run.up, run.result}, {run.count}))
        return launch(siluGateKernel<float, kPack>, siluGateKernel<__nv_bfloat16, kPack>, run, type, device,
                      blocksFor(run.count / kPack));
      return launch(siluGateKernel<float, 1>, siluGateKernel<__nv_bfloat16, 1>, run, type, device,
                    blocksFor(run.count));
    },
    [](const SiluGateGradientRun& run, NumberType type, int device) {
      if (fitPacks(kPack, type, {run.gate, run.up, run.gradient, run.toGate, run.toUp}, {run.count}))
        return launch(siluGateGradientKernel<float, kPack>, siluGateGradientKernel<__nv_bfloat16, kPack>, run, type,
                      device, blocksFor(run.count / kPack));
      return launch(siluGateGradientKernel<float, 1>, siluGateGradientKernel<__nv_bfloat16, 1>, run, type, device,
                    blocksFor(run.count));
    },
    [](const RotateRun& run, NumberType type, int device) {
      const std::int64_t blocks = run.batches * run.tokens;
      if (fitPacks(kPack, type, {run.x, run.result},
                   {run.width, run.pairs, run.batchStride, run.tokenStride, run.headStride}))
        return launch(rotateKernel<float, kPack>, rotateKernel<__nv_bfloat16, kPack>, run, type, device, blocks);
      return launch(rotateKernel<float, 1>, rotateKernel<__nv_bfloat16, 1>, run, type, device, blocks);
    },
    [](const TrellisRun& run, int device) -> const char* {
      if (run.rows == 0) return nullptr;
      cudaError_t error = cudaSetDevice(device);
      const auto blocks = static_cast<unsigned>((run.rows + kTrellisThreads - 1) / kTrellisThreads);
      if (error == cudaSuccess)
        error = tensor_core::launchKernel(trellisKernel, dim3(blocks), dim3(kTrellisThreads), 0, run);
      return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
    }};

}  // namespace
}  // namespace kvista

extern "C" const kvista::FusedKernels* kvistaCudaKernels() { return &kvista::kKernels; }
