// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace kvista {

/// How the numbers of a fused operator lie in memory; its arithmetic is float32.
enum class NumberType : std::int32_t { float32, bfloat16 };

// What each operator reads and writes. Rows are contiguous and follow each other; pointers are of the device that runs
// it.

/// result = x * scale * weight, scale = 1 / sqrt(mean(x^2) + epsilon) of each row.
struct RmsNormRun {
  const void* x;       ///< [rows, width]
  const void* weight;  ///< [width]
  void* result;        ///< [rows, width]
  float* scales;       ///< [rows]
  std::int64_t rows, width;
  float epsilon;
};
/// The gradient at x from that at the result.
struct RmsNormGradientRun {
  const void* x;         ///< [rows, width]
  const void* weight;    ///< [width]
  const void* gradient;  ///< [rows, width]
  const float* scales;   ///< [rows], as RmsNormRun left them
  void* result;          ///< [rows, width]
  std::int64_t rows, width;
};
/// result = gate * sigmoid(gate) * up.
struct SiluGateRun {
  const void *gate, *up;
  void* result;
  std::int64_t count;
};
struct SiluGateGradientRun {
  const void *gate, *up, *gradient;
  void *toGate, *toUp;
  std::int64_t count;
};
/// Rotates pairs (j, j + pairs) of each head by the angle of its token; what lies beyond 2 * pairs is carried over.
struct RotateRun {
  const void* x;  ///< [batches, tokens, heads, width] with the strides below; numbers of a head are neighbours
  const float *cosine, *sine;  ///< [tokens, pairs]
  void* result;                ///< contiguous
  std::int64_t batches, tokens, heads, width, pairs;
  std::int64_t batchStride, tokenStride, headStride;  ///< In numbers.
  float direction;                                    ///< 1 rotates, -1 rotates back, which is also the gradient.
};

/// Codes of rows through a trellis (core/model/trellis.h).
struct TrellisRun {
  const float* numbers;  ///< [rows, count], in steps
  std::uint8_t* codes;   ///< [rows, count]
  std::uint32_t* path;   ///< [rows * count]: scratch
  std::int64_t rows, count;
  int bits;
};

/// The fused operators of one kind of device. Each answers nullptr, or in words what the device's library refused.
struct FusedKernels {
  const char* (*rmsNorm)(const RmsNormRun&, NumberType, int device);
  const char* (*rmsNormGradient)(const RmsNormGradientRun&, NumberType, int device);
  const char* (*siluGate)(const SiluGateRun&, NumberType, int device);
  const char* (*siluGateGradient)(const SiluGateGradientRun&, NumberType, int device);
  const char* (*rotate)(const RotateRun&, NumberType, int device);
  const char* (*trellisCodes)(const TrellisRun&, int device);
};

}  // namespace kvista

/// What libkvista_cuda.so exports under the name kvistaCudaKernels. Work is queued on the default stream of `device`,
/// as libtorch's is. Each has its twin for CPUs in core/model/cpu_kernels.cpp.
extern "C" const kvista::FusedKernels* kvistaCudaKernels();
