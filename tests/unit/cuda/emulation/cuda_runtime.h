// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What the kernels use of CUDA's language and runtime, on a CPU: the threads of a block are coroutines of one thread,
// so that kernels can be tested, and run under a sanitizer, where there is no GPU. Slow and exact; no model of timing.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#define __device__
#define __host__
#define __global__ static
#define __shared__ static  // One block runs at a time.
#define __grid_constant__
#define __align__(bytes) alignas(bytes)
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct uint2 {
  std::uint32_t x, y;
};
struct alignas(16) uint4 {
  std::uint32_t x, y, z, w;
};
struct float2 {
  float x, y;
};

namespace kvista::emulation {

/// Runs all blocks, one after the other; false if the threads of a block waited for each other for ever.
bool runGrid(dim3 grid, dim3 threads, std::size_t sharedBytes, const std::function<void()>& kernel);
unsigned char* sharedMemory();
void waitForBlock();
void waitForWarp();
/// Until the four warps of this one's warpgroup are here.
void waitForWarpgroup();
/// What every lane of the warp publishes: `write` is given this lane's place; the answer are the places of all 32,
/// valid until the second publication after this one.
struct Place {
  alignas(16) std::uint32_t words[8];
};
const Place* publish(const std::function<void(Place&)>& write);

}  // namespace kvista::emulation

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

enum cudaError_t { cudaSuccess, cudaErrorLaunchFailure, cudaErrorInvalidDevice };
enum {
  cudaFuncAttributeMaxDynamicSharedMemorySize,
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrMaxSharedMemoryPerBlockOptin
};
inline cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
inline cudaError_t cudaDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount ? 1 : 227 * 1024;
  return cudaSuccess;
}
inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorInvalidDevice ? "there is one device" : "the threads of a block wait for each other";
}
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel, int, int bytes) {
  return bytes <= 227 * 1024 ? cudaSuccess : cudaErrorLaunchFailure;  // of a block on compute capability 9.0
}

struct cudaFuncAttributes {
  std::size_t sharedSizeBytes;
};
template <class Kernel>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, Kernel) {
  *attributes = {1024};
  return cudaSuccess;
}

using std::max;
using std::min;
inline void __syncthreads() { kvista::emulation::waitForBlock(); }
inline void __syncwarp() { kvista::emulation::waitForWarp(); }
template <class T>
T __ldg(const T* from) {
  return *from;
}
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __uint_as_float(std::uint32_t x) { return std::bit_cast<float>(x); }
inline int atomicMax(int* to, int value) { return std::exchange(*to, std::max(*to, value)); }
inline float atomicAdd(float* to, float value) { return std::exchange(*to, *to + value); }
inline std::uint32_t __byte_perm(std::uint32_t x, std::uint32_t y, std::uint32_t selector) {
  const std::uint64_t bytes = x | std::uint64_t{y} << 32;
  std::uint32_t result = 0;
  for (int i = 0; i < 4; ++i) result |= static_cast<std::uint32_t>(bytes >> (selector >> 4 * i & 7) * 8 & 255) << 8 * i;
  return result;
}
float __shfl_sync(unsigned mask, float value, int lane);
float __shfl_xor_sync(unsigned mask, float value, int distance);
bool __any_sync(unsigned mask, bool value);
