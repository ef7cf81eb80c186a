// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/cpu_kernels.h"

#include <ATen/TensorIterator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#define KVISTA_INLINE __attribute__((always_inline)) inline

namespace kvista::cpu {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using Tensors = torch::autograd::variable_list;

#if defined(__x86_64__)
template <class Body>
__attribute__((target("avx2,fma"))) void runAvx2(const Body& body, std::int64_t begin, std::int64_t end) {
  body(begin, end);
}
#endif

/// Calls body(begin, end) on libtorch's threads for parts of [0, count). at::parallel_for would be serial here, being a
/// template that is parallel only inside libtorch; an iterator's loop is not. `body` must be always_inline, so that it
/// is compiled for the processor at hand.
template <class Body>
void parallel(std::int64_t count, std::int64_t costOfOne, const Body& body) {
  constexpr std::int64_t kCostOfPart = 32768;
  at::Tensor places = at::empty({count}, at::TensorOptions(at::kByte));
  const auto* first = static_cast<const char*>(places.const_data_ptr());
  auto iterator = at::TensorIterator::nullary_op(places);
  const auto part = [&](char** data, const std::int64_t*, std::int64_t size, std::int64_t) {  // one axis: one row of it
    const std::int64_t begin = data[0] - first;
#if defined(__x86_64__)
    static const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (hasAvx2) {
      runAvx2(body, begin, begin + size);
      return;
    }
#endif
    body(begin, begin + size);
  };
  iterator.for_each(part, std::max<std::int64_t>(1, kCostOfPart / std::max<std::int64_t>(1, costOfOne)));
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

struct RmsNorm : Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double epsilon) {
    const std::int64_t width = x.size(-1);
    const std::int64_t rows = x.numel() / width;
    at::Tensor result = at::empty_like(x);
    at::Tensor scales = at::empty({rows}, x.options());  // 1 / root mean square of each row
    const float* __restrict in = x.const_data_ptr<float>();
    const float* __restrict factor = weight.const_data_ptr<float>();
    float* __restrict out = result.mutable_data_ptr<float>();
    float* __restrict scaleOf = scales.mutable_data_ptr<float>();
    parallel(
        rows, width, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
          for (std::int64_t row = begin; row < end; ++row) {
            const float* __restrict source = in + row * width;
            float* __restrict target = out + row * width;
            const float squares = sumOf(width, [&](std::int64_t i) { return source[i] * source[i]; });
            const float scale = 1.0f / std::sqrt(squares / static_cast<float>(width) + static_cast<float>(epsilon));
            scaleOf[row] = scale;
            for (std::int64_t i = 0; i < width; ++i) target[i] = source[i] * scale * factor[i];
          }
        });
    context->save_for_backward({x, weight, scales});
    return result;
  }

  static Tensors backward(AutogradContext* context, const Tensors& gradients) {
    const Tensors saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor gradient = gradients[0].contiguous();
    const std::int64_t width = x.size(-1);
    at::Tensor result = at::empty_like(x);
    const float* __restrict in = x.const_data_ptr<float>();
    const float* __restrict factor = saved[1].const_data_ptr<float>();
    const float* __restrict scaleOf = saved[2].const_data_ptr<float>();
    const float* __restrict above = gradient.const_data_ptr<float>();
    float* __restrict out = result.mutable_data_ptr<float>();
    parallel(
        x.numel() / width, 2 * width, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
          for (std::int64_t row = begin; row < end; ++row) {
            const float* __restrict source = in + row * width;
            const float* __restrict slope = above + row * width;
            float* __restrict target = out + row * width;
            const float scale = scaleOf[row];
            const float dot = sumOf(width, [&](std::int64_t i) { return slope[i] * factor[i] * source[i]; });
            const float pull = dot * scale * scale / static_cast<float>(width);
            for (std::int64_t i = 0; i < width; ++i) target[i] = scale * (slope[i] * factor[i] - source[i] * pull);
          }
        });
    return {result, at::Tensor(), at::Tensor()};
  }
};

struct SiluGate : Function<SiluGate> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up) {
    at::Tensor result = at::empty_like(gate);
    const float* __restrict x = gate.const_data_ptr<float>();
    const float* __restrict y = up.const_data_ptr<float>();
    float* __restrict out = result.mutable_data_ptr<float>();
    parallel(
        gate.numel(), 4, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
          for (std::int64_t i = begin; i < end; ++i) out[i] = x[i] * sigmoid(x[i]) * y[i];
        });
    context->save_for_backward({gate, up});
    return result;
  }

  static Tensors backward(AutogradContext* context, const Tensors& gradients) {
    const Tensors saved = context->get_saved_variables();
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor gateGradient = at::empty_like(saved[0]);
    at::Tensor upGradient = at::empty_like(saved[1]);
    const float* __restrict x = saved[0].const_data_ptr<float>();
    const float* __restrict y = saved[1].const_data_ptr<float>();
    const float* __restrict above = gradient.const_data_ptr<float>();
    float* __restrict toGate = gateGradient.mutable_data_ptr<float>();
    float* __restrict toUp = upGradient.mutable_data_ptr<float>();
    parallel(
        gradient.numel(), 6, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
          for (std::int64_t i = begin; i < end; ++i) {
            const float share = sigmoid(x[i]);
            toGate[i] = above[i] * y[i] * share * (1.0f + x[i] * (1.0f - share));
            toUp[i] = above[i] * x[i] * share;
          }
        });
    return {gateGradient, upGradient};
  }
};

/// `direction` 1 rotates, -1 rotates back, which is also the gradient. `x` may have any strides but the last's.
at::Tensor rotated(const at::Tensor& anyShape, const at::Tensor& cosine, const at::Tensor& sine, float direction) {
  const at::Tensor x = anyShape.dim() == 3 ? anyShape.unsqueeze(0) : anyShape.flatten(0, -4);
  const at::Tensor source = x.stride(-1) == 1 ? x : x.contiguous();
  at::Tensor result = at::empty(x.sizes(), x.options());
  const std::int64_t tokens = x.size(1);
  const std::int64_t heads = x.size(2);
  const std::int64_t width = x.size(3);
  const std::int64_t pairs = cosine.size(1);
  const std::int64_t batchStride = source.stride(0);
  const std::int64_t tokenStride = source.stride(1);
  const std::int64_t headStride = source.stride(2);
  const float* __restrict in = source.const_data_ptr<float>();
  const float* __restrict cosines = cosine.const_data_ptr<float>();
  const float* __restrict sines = sine.const_data_ptr<float>();
  float* __restrict out = result.mutable_data_ptr<float>();
  parallel(
      x.size(0) * tokens, heads * width, [=](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t token = row % tokens;
          const float* __restrict c = cosines + token * pairs;
          const float* __restrict s = sines + token * pairs;
          for (std::int64_t head = 0; head < heads; ++head) {
            const float* __restrict from = in + (row / tokens) * batchStride + token * tokenStride + head * headStride;
            float* __restrict to = out + (row * heads + head) * width;
            for (std::int64_t j = 0; j < pairs; ++j) {
              const float sineOf = direction * s[j];
              to[j] = from[j] * c[j] - from[j + pairs] * sineOf;
              to[j + pairs] = from[j + pairs] * c[j] + from[j] * sineOf;
            }
            for (std::int64_t j = 2 * pairs; j < width; ++j) to[j] = from[j];
          }
        }
      });
  return result.view(anyShape.sizes());
}

struct Rotate : Function<Rotate> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& cosine,
                            const at::Tensor& sine) {
    context->save_for_backward({cosine, sine});
    return rotated(x, cosine, sine, 1);
  }
  static Tensors backward(AutogradContext* context, const Tensors& gradients) {
    const Tensors saved = context->get_saved_variables();
    return {rotated(gradients[0], saved[0], saved[1], -1), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool isFusable(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous() && x.numel() > 0;
}

at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return RmsNorm::apply(x, weight, epsilon);
}

at::Tensor siluGate(const at::Tensor& gate, const at::Tensor& up) { return SiluGate::apply(gate, up); }

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  return Rotate::apply(x, cosine, sine);
}

}  // namespace kvista::cpu
