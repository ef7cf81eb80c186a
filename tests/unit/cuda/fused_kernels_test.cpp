// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Every kernel for GPUs against its twin for CPUs, element by element, with sentinels round every buffer it writes.
#include "core/cuda/fused_kernels.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <gtest/gtest.h>

#include "core/model/cpu_kernels.h"
#include "core/model/trellis.h"
#include "tests/unit/cuda/target.h"

namespace kvista::test {
namespace {

#define NEEDS_KERNELS()                                                                               \
  const auto target = kernelTarget();                                                                 \
  if (!target) GTEST_SKIP() << "no GPU here, unit.cuda.emulated runs it: " << target.error().message; \
  const FusedKernels* const gpu = target->fused;                                                      \
  const at::Device device = target->device

/// Numbers that look irregular, as both kinds of device get them: float32 that bfloat16 holds exactly where that is
/// tested.
at::Tensor numbers(std::int64_t count, double phase, at::ScalarType type) {
  const at::Tensor values = (at::linspace(0, static_cast<double>(count), count) * 1.7 + phase).sin() * 2;
  return values.to(type).to(at::kFloat);
}

class CudaKernels : public ::testing::TestWithParam<NumberType> {
 protected:
  at::ScalarType type() const { return GetParam() == NumberType::float32 ? at::kFloat : at::kBFloat16; }
  at::Tensor input(std::int64_t count, double phase) const { return numbers(count, phase, type()); }
  at::Tensor there(const at::Tensor& values, at::Device device) const { return values.to(device, type()); }
  void expectSame(Guarded& gpu, const at::Tensor& cpu, const char* what) const {
    EXPECT_TRUE(gpu.guardsHold()) << what << " was written beyond its end";
    // Of numbers up to 2: two roundings of 2^-24, or one to 8 bits.
    const double tolerance = type() == at::kFloat ? 5e-6 : 8e-3;
    const at::Tensor error = (gpu.values() - cpu).abs() / (cpu.abs() + 0.05);
    EXPECT_LT(error.max().item<double>(), tolerance) << what;
  }
};

TEST_P(CudaKernels, RmsNorm) {
  NEEDS_KERNELS();
  for (const auto& [rows, width] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {3, 64}, {7, 576}, {5, 4096}, {2, 4099}}) {
    const at::Tensor x = input(rows * width, 0.3), weight = input(width, 1.1), slope = input(rows * width, 2.2);
    at::Tensor result = at::empty({rows * width}), scales = at::empty({rows}), back = at::empty({rows * width});
    cpuKernels().rmsNorm(
        {x.data_ptr(), weight.data_ptr(), result.data_ptr(), scales.data_ptr<float>(), rows, width, 1e-5F},
        NumberType::float32, 0);
    cpuKernels().rmsNormGradient(
        {x.data_ptr(), weight.data_ptr(), slope.data_ptr(), scales.data_ptr<float>(), back.data_ptr(), rows, width},
        NumberType::float32, 0);
    const at::Tensor gx = there(x, device), gWeight = there(weight, device), gSlope = there(slope, device);
    Guarded gResult(rows * width, type(), device), gScales(rows, at::kFloat, device),
        gBack(rows * width, type(), device);
    auto* scalesOnGpu = static_cast<float*>(gScales.pointer());
    ASSERT_EQ(gpu->rmsNorm({gx.data_ptr(), gWeight.data_ptr(), gResult.pointer(), scalesOnGpu, rows, width, 1e-5F},
                           GetParam(), 0),
              nullptr);
    ASSERT_EQ(gpu->rmsNormGradient(
                  {gx.data_ptr(), gWeight.data_ptr(), gSlope.data_ptr(), scalesOnGpu, gBack.pointer(), rows, width},
                  GetParam(), 0),
              nullptr);
    expectSame(gResult, result, "the norm");
    expectSame(gScales, scales, "the scales");
    expectSame(gBack, back, "the gradient");
  }
}

TEST_P(CudaKernels, SiluGate) {
  NEEDS_KERNELS();
  for (const std::int64_t count : {1, 255, 256, 257, 100'003}) {
    const at::Tensor gate = input(count, 0.1) * 4, up = input(count, 0.9), slope = input(count, 2.9);
    at::Tensor result = at::empty({count}), toGate = at::empty({count}), toUp = at::empty({count});
    cpuKernels().siluGate({gate.data_ptr(), up.data_ptr(), result.data_ptr(), count}, NumberType::float32, 0);
    cpuKernels().siluGateGradient(
        {gate.data_ptr(), up.data_ptr(), slope.data_ptr(), toGate.data_ptr(), toUp.data_ptr(), count},
        NumberType::float32, 0);
    const at::Tensor gGate = there(gate, device), gUp = there(up, device), gSlope = there(slope, device);
    Guarded gResult(count, type(), device), gToGate(count, type(), device), gToUp(count, type(), device);
    ASSERT_EQ(gpu->siluGate({gGate.data_ptr(), gUp.data_ptr(), gResult.pointer(), count}, GetParam(), 0), nullptr);
    ASSERT_EQ(gpu->siluGateGradient(
                  {gGate.data_ptr(), gUp.data_ptr(), gSlope.data_ptr(), gToGate.pointer(), gToUp.pointer(), count},
                  GetParam(), 0),
              nullptr);
    expectSame(gResult, result, "the gate");
    expectSame(gToGate, toGate, "the gradient at the gate");
    expectSame(gToUp, toUp, "the gradient at the other factor");
  }
}

TEST_P(CudaKernels, TrellisCodes) {
  NEEDS_KERNELS();
  for (const auto& [rows, count, bits] :
       {std::tuple<std::int64_t, std::int64_t, int>{1, 1, 1}, {33, 100, 1}, {7, 257, 2}, {70, 19, 3}, {5, 64, 4}}) {
    const at::Tensor x = numbers(rows * count, 0.4, at::kFloat) * (1 << bits) / 2, there = x.to(device);
    at::Tensor codes = at::empty({rows * count}, at::kByte), path = at::empty({rows * count}, at::kInt);
    const auto scratch = [](void* pointer) { return static_cast<std::uint32_t*>(pointer); };
    cpuKernels().trellisCodes({x.const_data_ptr<float>(), codes.mutable_data_ptr<std::uint8_t>(),
                               scratch(path.data_ptr()), rows, count, bits},
                              0);
    const std::int64_t guard = Guarded::kGuard;
    const at::Tensor guarded = at::full({rows * count + 2 * guard}, 99, at::TensorOptions(at::kByte).device(device));
    Guarded gPath(rows * count, at::kInt, device);
    ASSERT_EQ(gpu->trellisCodes({there.const_data_ptr<float>(), guarded.mutable_data_ptr<std::uint8_t>() + guard,
                                 scratch(gPath.pointer()), rows, count, bits},
                                0),
              nullptr);
    EXPECT_TRUE(gPath.guardsHold());
    for (const std::int64_t begin : {std::int64_t{0}, guard + rows * count})
      EXPECT_TRUE((guarded.narrow(0, begin, guard) == 99).all().item<bool>());
    // Equals, to what roundings differ by, may go either way.
    const auto error = [&](const at::Tensor& own) {
      return (trellisLevels(own.cpu().view({rows, count}), bits) - x.view({rows, count})).square().sum(1);
    };
    EXPECT_TRUE(error(guarded.narrow(0, guard, rows * count)).allclose(error(codes), 1e-5, 1e-5)) << bits;
  }
}

TEST_P(CudaKernels, Rotate) {
  NEEDS_KERNELS();
  struct Shape {
    std::int64_t batches, tokens, heads, width, pairs;
  };
  for (const Shape& s :
       {Shape{1, 1, 1, 2, 1}, Shape{2, 9, 3, 64, 32}, Shape{1, 33, 5, 80, 20}, Shape{3, 7, 8, 128, 64}}) {
    const std::int64_t count = s.batches * s.tokens * s.heads * s.width;
    const at::Tensor x = input(count, 0.7);
    const at::Tensor angles = numbers(s.tokens * s.pairs, 0.2, at::kFloat);
    const at::Tensor cosine = angles.cos(), sine = angles.sin();
    const auto run = [&](const at::Tensor& from, const at::Tensor& c, const at::Tensor& n, void* result,
                         float direction) {
      return RotateRun{from.data_ptr(),
                       c.data_ptr<float>(),
                       n.data_ptr<float>(),
                       result,
                       s.batches,
                       s.tokens,
                       s.heads,
                       s.width,
                       s.pairs,
                       s.tokens * s.heads * s.width,
                       s.heads * s.width,
                       s.width,
                       direction};
    };
    for (const float direction : {1.0F, -1.0F}) {
      at::Tensor result = at::empty({count});
      cpuKernels().rotate(run(x, cosine, sine, result.data_ptr(), direction), NumberType::float32, 0);
      Guarded gResult(count, type(), device);
      const at::Tensor gx = there(x, device), gCosine = cosine.to(device), gSine = sine.to(device);
      ASSERT_EQ(gpu->rotate(run(gx, gCosine, gSine, gResult.pointer(), direction), GetParam(), 0), nullptr);
      expectSame(gResult, result, "the rotation");
    }
  }
}

TEST_P(CudaKernels, ADeviceThatIsNotThereIsAnError) {
  NEEDS_KERNELS();
  const at::Tensor x = there(input(8, 0), device);
  EXPECT_NE(gpu->siluGate({x.data_ptr(), x.data_ptr(), x.data_ptr(), 8}, GetParam(), 4096), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Types, CudaKernels, ::testing::Values(NumberType::float32, NumberType::bfloat16),
                         [](const auto& type) { return type.param == NumberType::float32 ? "float32" : "bfloat16"; });

}  // namespace
}  // namespace kvista::test
