// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/cpu_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/cuda/trellis_row.h"
#include "core/model/parallel.h"

#define KVISTA_INLINE __attribute__((always_inline)) inline

namespace kvista {

namespace {

#if defined(__x86_64__)
template <class Body>
__attribute__((target("avx2,fma"))) void runAvx2(const Body& body, std::int64_t begin, std::int64_t end) {
  body(begin, end);
}
#endif

/// parallelFor whose `body` must be always_inline, so that it is compiled for the processor at hand.
template <class Body>
void parallel(std::int64_t count, std::int64_t costOfOne, const Body& body) {
  constexpr std::int64_t kCostOfPart = 32768;
  parallelFor(count, std::max<std::int64_t>(1, kCostOfPart / std::max<std::int64_t>(1, costOfOne)),
              [&](std::int64_t begin, std::int64_t end) {
#if defined(__x86_64__)
                static const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
                if (hasAvx2) return runAvx2(body, begin, end);
#endif
                body(begin, end);
              });
}

/// e^x to about two units in the last place, for x in [-87, 88]; outside, the nearest of these. Vectorises.
KVISTA_INLINE float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest whole number in the low bits
  const float whole = (x * 1.44269504f + kRounder) - kRounder;
  const float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;  // ln 2 in two parts
  float series = 1.0f / 5040;
  series = series * rest + 1.0f / 720;
  series = series * rest + 1.0f / 120;
  series = series * rest + 1.0f / 24;
  series = series * rest + 1.0f / 6;
  series = series * rest + 0.5f;
  series = series * rest + 1.0f;
  series = series * rest + 1.0f;
  return series * std::bit_cast<float>((static_cast<std::int32_t>(whole) + 127) << 23);
}

KVISTA_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

/// Sum of term(i) for i in [0, count), in lanes so that it vectorises.
template <class Term>
KVISTA_INLINE float sumOf(std::int64_t count, const Term& term) {
  constexpr std::int64_t kLanes = 16;
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  for (; i < count; ++i) sum += term(i);
  return sum;
}

const float* floats(const void* numbers) { return static_cast<const float*>(numbers); }
float* floats(void* numbers) { return static_cast<float*>(numbers); }

const char* rmsNorm(const RmsNormRun& run, NumberType, int) {
  const float* __restrict in = floats(run.x);
  const float* __restrict factor = floats(run.weight);
  float* __restrict out = floats(run.result);
  parallel(
      run.rows, run.width, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
        const std::int64_t width = run.width;
        for (std::int64_t row = begin; row < end; ++row) {
          const float* __restrict source = in + row * width;
          float* __restrict target = out + row * width;
          const float squares = sumOf(width, [&](std::int64_t i) { return source[i] * source[i]; });
          const float scale = 1.0f / std::sqrt(squares / static_cast<float>(width) + run.epsilon);
          run.scales[row] = scale;
          for (std::int64_t i = 0; i < width; ++i) target[i] = source[i] * scale * factor[i];
        }
      });
  return nullptr;
}

const char* rmsNormGradient(const RmsNormGradientRun& run, NumberType, int) {
  const float* __restrict in = floats(run.x);
  const float* __restrict factor = floats(run.weight);
  const float* __restrict above = floats(run.gradient);
  float* __restrict out = floats(run.result);
  parallel(
      run.rows, 2 * run.width, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
        const std::int64_t width = run.width;
        for (std::int64_t row = begin; row < end; ++row) {
          const float* __restrict source = in + row * width;
          const float* __restrict slope = above + row * width;
          float* __restrict target = out + row * width;
          const float scale = run.scales[row];
          const float dot = sumOf(width, [&](std::int64_t i) { return slope[i] * factor[i] * source[i]; });
          const float pull = dot * scale * scale / static_cast<float>(width);
          for (std::int64_t i = 0; i < width; ++i) target[i] = scale * (slope[i] * factor[i] - source[i] * pull);
        }
      });
  return nullptr;
}

const char* siluGate(const SiluGateRun& run, NumberType, int) {
  const float* __restrict x = floats(run.gate);
  const float* __restrict y = floats(run.up);
  float* __restrict out = floats(run.result);
  parallel(
      run.count, 4, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
        for (std::int64_t i = begin; i < end; ++i) out[i] = x[i] * sigmoid(x[i]) * y[i];
      });
  return nullptr;
}

const char* siluGateGradient(const SiluGateGradientRun& run, NumberType, int) {
  const float* __restrict x = floats(run.gate);
  const float* __restrict y = floats(run.up);
  const float* __restrict above = floats(run.gradient);
  float* __restrict toGate = floats(run.toGate);
  float* __restrict toUp = floats(run.toUp);
  parallel(
      run.count, 6, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
        for (std::int64_t i = begin; i < end; ++i) {
          const float share = sigmoid(x[i]);
          toGate[i] = above[i] * y[i] * share * (1.0f + x[i] * (1.0f - share));
          toUp[i] = above[i] * x[i] * share;
        }
      });
  return nullptr;
}

const char* rotate(const RotateRun& run, NumberType, int) {
  const float* __restrict in = floats(run.x);
  float* __restrict out = floats(run.result);
  parallel(
      run.batches * run.tokens,
      run.heads * run.width, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
        const std::int64_t pairs = run.pairs;
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t token = row % run.tokens;
          const float* __restrict c = run.cosine + token * pairs;
          const float* __restrict s = run.sine + token * pairs;
          for (std::int64_t head = 0; head < run.heads; ++head) {
            const float* __restrict from =
                in + (row / run.tokens) * run.batchStride + token * run.tokenStride + head * run.headStride;
            float* __restrict to = out + (row * run.heads + head) * run.width;
            for (std::int64_t j = 0; j < pairs; ++j) {
              const float sineOf = run.direction * s[j];
              to[j] = from[j] * c[j] - from[j + pairs] * sineOf;
              to[j + pairs] = from[j + pairs] * c[j] + from[j] * sineOf;
            }
            for (std::int64_t j = 2 * pairs; j < run.width; ++j) to[j] = from[j];
          }
        }
      });
  return nullptr;
}

const char* trellisCodes(const TrellisRun& run, int) {
  parallel(
      run.rows, 8 * run.count, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t first = row * run.count;
          trellis::codeRow(run.numbers + first, run.count, run.bits, run.codes + first, run.path + first, 1);
        }
      });
  return nullptr;
}

}  // namespace

const FusedKernels& cpuKernels() {
  static const FusedKernels kernels = {rmsNorm, rmsNormGradient, siluGate, siluGateGradient, rotate, trellisCodes};
  return kernels;
}

}  // namespace kvista
