// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// The instructions of core/cuda/tensor_core.cuh on a CPU.
#pragma once

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <cuda_runtime.h>

#include <cstring>

using __half = c10::Half;
using __nv_bfloat16 = c10::BFloat16;
inline __half __float2half_rn(float value) { return value; }

namespace kvista::tensor_core {

inline float toFloat(float value) { return value; }
template <class Number>
Number fromFloat(float value) {
  return static_cast<Number>(value);
}
template <class Number>
std::uint32_t pack(float first, float second) {
  const Number numbers[2] = {fromFloat<Number>(first), fromFloat<Number>(second)};
  return std::bit_cast<std::uint32_t>(numbers);
}
inline float2 unpackHalves(std::uint32_t word) {
  const auto half = [&](int shift) {
    return static_cast<float>(std::bit_cast<__half>(static_cast<std::uint16_t>(word >> shift)));
  };
  return {half(0), half(16)};
}
inline std::uint32_t maskAndOr(std::uint32_t word, std::uint32_t mask, std::uint32_t other) {
  return (word & mask) | other;
}
inline std::uint32_t keptInRegister(std::uint32_t constant) { return constant; }
inline float powerOfTwo(float x) { return std::exp2(x); }
inline void sineAndCosine(float angle, float& sine, float& cosine) {
  sine = std::sin(angle);
  cosine = std::cos(angle);
}

inline unsigned char* sharedMemory() { return emulation::sharedMemory(); }
inline std::uint32_t sharedAddress(const void* pointer) {
  return static_cast<std::uint32_t>(static_cast<const unsigned char*>(pointer) - emulation::sharedMemory());
}
// Copies are done when they are asked for; that nothing reads them before it has waited is for compute-sanitizer to
// see.
inline void copyAsync16(std::uint32_t to, const void* from) { std::memcpy(emulation::sharedMemory() + to, from, 16); }
inline void copyAsync16(std::uint32_t to, const void* from, bool there) {
  there ? copyAsync16(to, from) : static_cast<void>(std::memset(emulation::sharedMemory() + to, 0, 16));
}
inline void commitCopies() {}
template <int kPending>
void waitForCopies() {}

void loadMatrices(std::uint32_t (&to)[4], std::uint32_t row);
void loadMatricesTransposed(std::uint32_t (&to)[4], std::uint32_t row);
template <class Number>
void multiplyAdd(float (&sums)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  const emulation::Place* lanes = emulation::publish([&](emulation::Place& place) {
    std::memcpy(place.words, a, sizeof(a));
    place.words[4] = b0;
    place.words[5] = b1;
  });
  const auto number = [](std::uint32_t word, int half) {
    return static_cast<float>(std::bit_cast<Number>(static_cast<std::uint16_t>(word >> 16 * half)));
  };
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    for (int k = 0; k < 16; ++k) {
      // PTX ISA, fragments of mma.m16n8k16.
      const float x = number(lanes[row % 8 * 4 + k % 8 / 2].words[row / 8 + k / 8 * 2], k % 2);
      const float y = number(lanes[column * 4 + k % 8 / 2].words[4 + k / 8], k % 2);
      sums[i] += x * y;
    }
  }
}

// One kernel runs after the other.
inline void letNextBegin() {}
inline void waitForPrevious() {}
inline void prefetch(const void*) {}
template <class... Parameters, class... Arguments>
cudaError_t launchKernel(void (*kernel)(Parameters...), dim3 grid, dim3 threads, std::size_t sharedBytes,
                         const Arguments&... arguments) {
  return emulation::runGrid(grid, threads, sharedBytes, [&] { kernel(static_cast<Parameters>(arguments)...); })
             ? cudaSuccess
             : cudaErrorLaunchFailure;
}
template <class... Parameters, class... Arguments>
cudaError_t launchNext(void (*kernel)(Parameters...), dim3 grid, dim3 threads, std::size_t sharedBytes,
                       const Arguments&... arguments) {
  return launchKernel(kernel, grid, threads, sharedBytes, arguments...);
}

}  // namespace kvista::tensor_core
