// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/fused_operators.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>

#include <atomic>

#include "core/model/cpu_kernels.h"

namespace kvista::fused {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using Tensors = torch::autograd::variable_list;

std::atomic<const FusedKernels*> gpuKernels = nullptr;

const FusedKernels& kernelsOf(const at::Tensor& x) { return x.is_cpu() ? cpuKernels() : *gpuKernels.load(); }

/// What a kernel refuses becomes libtorch's kind of error.
void check(const char* refusal) {
  TORCH_CHECK(refusal == nullptr, "a fused kernel could not be started: ", refusal ? refusal : "");
}

/// Runs one kernel where `x` lies.
template <class Run>
void run(const char* (*FusedKernels::*kernel)(const Run&, NumberType, int), const Run& arguments, const at::Tensor& x) {
  const NumberType type = x.scalar_type() == at::kBFloat16 ? NumberType::bfloat16 : NumberType::float32;
  check((kernelsOf(x).*kernel)(arguments, type, x.is_cpu() ? 0 : x.get_device()));
}

struct RmsNorm : Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double epsilon) {
    const std::int64_t width = x.size(-1);
    const std::int64_t rows = x.numel() / width;
    at::Tensor result = at::empty_like(x);
    at::Tensor scales = at::empty({rows}, x.options().dtype(at::kFloat));  // 1 / root mean square of each row
    run(&FusedKernels::rmsNorm,
        RmsNormRun{x.const_data_ptr(), weight.const_data_ptr(), result.mutable_data_ptr(),
                   scales.mutable_data_ptr<float>(), rows, width, static_cast<float>(epsilon)},
        x);
    context->save_for_backward({x, weight, scales});
    return result;
  }

  static Tensors backward(AutogradContext* context, const Tensors& gradients) {
    const Tensors saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor result = at::empty_like(x);
    run(&FusedKernels::rmsNormGradient,
        RmsNormGradientRun{x.const_data_ptr(), saved[1].const_data_ptr(), gradient.const_data_ptr(),
                           saved[2].const_data_ptr<float>(), result.mutable_data_ptr(), x.numel() / x.size(-1),
                           x.size(-1)},
        x);
    return {result, at::Tensor(), at::Tensor()};
  }
};

struct SiluGate : Function<SiluGate> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up) {
    at::Tensor result = at::empty_like(gate);
    run(&FusedKernels::siluGate,
        SiluGateRun{gate.const_data_ptr(), up.const_data_ptr(), result.mutable_data_ptr(), gate.numel()}, gate);
    context->save_for_backward({gate, up});
    return result;
  }

  static Tensors backward(AutogradContext* context, const Tensors& gradients) {
    const Tensors saved = context->get_saved_variables();
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor toGate = at::empty_like(saved[0]);
    at::Tensor toUp = at::empty_like(saved[1]);
    run(&FusedKernels::siluGateGradient,
        SiluGateGradientRun{saved[0].const_data_ptr(), saved[1].const_data_ptr(), gradient.const_data_ptr(),
                            toGate.mutable_data_ptr(), toUp.mutable_data_ptr(), gradient.numel()},
        gradient);
    return {toGate, toUp};
  }
};

/// `direction` 1 rotates, -1 rotates back, which is also the gradient. `x` may have any strides but the last's.
at::Tensor rotated(const at::Tensor& anyShape, const at::Tensor& cosine, const at::Tensor& sine, float direction) {
  const at::Tensor x = anyShape.dim() == 3 ? anyShape.unsqueeze(0) : anyShape.flatten(0, -4);
  const at::Tensor source = x.stride(-1) == 1 ? x : x.contiguous();
  at::Tensor result = at::empty(x.sizes(), x.options());
  run(&FusedKernels::rotate,
      RotateRun{source.const_data_ptr(), cosine.const_data_ptr<float>(), sine.const_data_ptr<float>(),
                result.mutable_data_ptr(), x.size(0), x.size(1), x.size(2), x.size(3), cosine.size(1), source.stride(0),
                source.stride(1), source.stride(2), direction},
      x);
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

void useOnGpus(const FusedKernels& kernels) { gpuKernels = &kernels; }
bool areOnGpus() { return gpuKernels.load() != nullptr; }

bool isFusable(const at::Tensor& x) {
  if (!x.is_contiguous() || x.numel() == 0) return false;
  if (x.is_cpu()) return x.scalar_type() == at::kFloat;
  return x.is_cuda() && areOnGpus() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return RmsNorm::apply(x, weight, epsilon);
}

at::Tensor siluGate(const at::Tensor& gate, const at::Tensor& up) { return SiluGate::apply(gate, up); }

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  return Rotate::apply(x, cosine, sine);
}

at::Tensor trellisCodes(const at::Tensor& numbers, int bits) {
  at::Tensor codes = at::empty(numbers.sizes(), numbers.options().dtype(at::kByte)),
             path = at::empty({numbers.numel()}, numbers.options().dtype(at::kInt));
  const std::int64_t count = numbers.size(-1);
  const TrellisRun run{numbers.const_data_ptr<float>(),
                       codes.mutable_data_ptr<std::uint8_t>(),
                       reinterpret_cast<std::uint32_t*>(path.mutable_data_ptr<int>()),
                       numbers.numel() / count,
                       count,
                       bits};
  check(kernelsOf(numbers).trellisCodes(run, numbers.is_cpu() ? 0 : numbers.get_device()));
  return codes;
}

}  // namespace kvista::fused
