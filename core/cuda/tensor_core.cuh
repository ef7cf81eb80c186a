// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

/// The instructions of one warp that the kernels are made of (PTX ISA, mma.m16n8k16, ldmatrix, cp.async; compute
/// capability 8.0). A lane is its number in the warp; fragments lie over the lanes as the ISA says.
namespace kvista::tensor_core {

__device__ inline float toFloat(float value) { return value; }
__device__ inline float toFloat(__nv_bfloat16 value) { return __bfloat162float(value); }
__device__ inline float toFloat(__half value) { return __half2float(value); }
template <class Number>
__device__ Number fromFloat(float value);
template <>
__device__ inline float fromFloat<float>(float value) {
  return value;
}
template <>
__device__ inline __nv_bfloat16 fromFloat<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}
template <>
__device__ inline __half fromFloat<__half>(float value) {
  return __float2half_rn(value);
}

/// Two neighbours in memory, the first in the low half.
template <class Number>
__device__ std::uint32_t pack(float first, float second) {
  const Number numbers[2] = {fromFloat<Number>(first), fromFloat<Number>(second)};
  return *reinterpret_cast<const std::uint16_t*>(&numbers[0]) |
         static_cast<std::uint32_t>(*reinterpret_cast<const std::uint16_t*>(&numbers[1])) << 16;
}

/// Two float16 numbers, the one in the low half first.
__device__ inline float2 unpackHalves(std::uint32_t word) {
  return __half22float2(*reinterpret_cast<const __half2*>(&word));
}

/// word & mask | other, as one instruction.
__device__ inline std::uint32_t maskAndOr(std::uint32_t word, std::uint32_t mask, std::uint32_t other) {
  std::uint32_t result;
  asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(result) : "r"(word), "r"(mask), "r"(other));
  return result;
}
/// A constant that instructions find in a register: of two constants only one fits into an instruction.
__device__ inline std::uint32_t keptInRegister(std::uint32_t constant) {
  std::uint32_t result;
  asm volatile("mov.b32 %0, %1;" : "=r"(result) : "r"(constant));
  return result;
}

/// 2 to the power of x, to 22 bits; 0 for minus infinity.
__device__ inline float powerOfTwo(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

/// Of an angle between -pi and pi, to 2^-20.
__device__ inline void sineAndCosine(float angle, float& sine, float& cosine) {
  asm("sin.approx.f32 %0, %1;" : "=f"(sine) : "f"(angle));
  asm("cos.approx.f32 %0, %1;" : "=f"(cosine) : "f"(angle));
}

/// What a launch gives a block of threads beside its own arrays.
__device__ inline unsigned char* sharedMemory() {
  extern __shared__ __align__(256) unsigned char memory[];
  return memory;
}

__device__ inline std::uint32_t sharedAddress(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

/// Copies 16 bytes from global to shared memory.
__device__ inline void copyAsync16(std::uint32_t to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(to), "l"(from));
}
/// Copies 16 bytes, or writes zeros.
__device__ inline void copyAsync16(std::uint32_t to, const void* from, bool there) {
  const int bytes = there ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from), "r"(bytes));
}

__device__ inline void commitCopies() { asm volatile("cp.async.commit_group;\n" ::); }
/// Until at most the last kPending groups of copies are under way.
template <int kPending>
__device__ void waitForCopies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
}

/// Four 8 x 8 matrices of 16-bit numbers; lane l gives the shared address of row l % 8 of matrix l / 8.
__device__ inline void loadMatrices(std::uint32_t (&to)[4], std::uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(row));
}
__device__ inline void loadMatricesTransposed(std::uint32_t (&to)[4], std::uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(row));
}

/// sums [16, 8] += a [16, 16] b [16, 8].
template <class Number>
__device__ void multiplyAdd(float (&sums)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1);
template <>
__device__ inline void multiplyAdd<__nv_bfloat16>(float (&sums)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                                  std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};\n"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
__device__ inline void multiplyAdd<__half>(float (&sums)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                           std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};\n"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// A kernel that launchNext queues may begin once all blocks of the one before have called this.
__device__ inline void letNextBegin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;\n" ::: "memory");
#endif
}
/// In a kernel that launchNext queues: until the one before has ended and what it wrote is there.
__device__ inline void waitForPrevious() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;\n" ::: "memory");
#endif
}
/// Brings 128 bytes nearer.
__device__ inline void prefetch(const void* from) { asm volatile("prefetch.global.L2 [%0];\n" ::"l"(from)); }

/// Queues a kernel on the default stream.
template <class... Parameters, class... Arguments>
cudaError_t launchKernel(void (*kernel)(Parameters...), dim3 grid, dim3 threads, std::size_t sharedBytes,
                         const Arguments&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = threads;
  config.dynamicSmemBytes = sharedBytes;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}
/// The same for a kernel that waits for the one queued before it by itself, where it is compiled for a GPU that can.
template <class... Parameters, class... Arguments>
cudaError_t launchNext(void (*kernel)(Parameters...), dim3 grid, dim3 threads, std::size_t sharedBytes,
                       const Arguments&... arguments) {
  cudaFuncAttributes compiled{};
  if (const cudaError_t error = cudaFuncGetAttributes(&compiled, kernel); error != cudaSuccess) return error;
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = threads;
  config.dynamicSmemBytes = sharedBytes;
  config.attrs = &early;
  config.numAttrs = compiled.ptxVersion >= 90 ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

}  // namespace kvista::tensor_core
