// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/TensorBody.h>
#include <ATen/ops/full.h>

#include "core/base/error.h"
#include "core/cuda/fused_kernels.h"
#include "core/cuda/latent_attention.h"

namespace kvista::test {

/// Where the kernels run: on a GPU, or on the CPU with the threads of a block as coroutines
/// (tests/unit/cuda/emulation).
struct KernelTarget {
  at::Device device;
  const FusedKernels* fused;
  const LatentAttentionKernels* attention;
};
/// An error is the reason to skip: there is no GPU. Kernels that are missing where there is one throw.
Result<KernelTarget> kernelTarget();

/// A buffer there with guards on both sides.
struct Guarded {
  static constexpr std::int64_t kGuard = 64;
  static constexpr double kSentinel = 12345.0;

  at::Tensor all;
  std::int64_t count;

  Guarded(std::int64_t size, at::ScalarType type, at::Device device)
      : all(at::full({size + 2 * kGuard}, kSentinel, at::TensorOptions(type).device(device))), count(size) {}
  void* pointer() {
    return static_cast<char*>(all.mutable_data_ptr()) + kGuard * static_cast<std::int64_t>(all.element_size());
  }
  at::Tensor values() { return all.narrow(0, kGuard, count).to(at::kFloat).cpu(); }
  bool guardsHold() {
    const at::Tensor sentinel = at::full({kGuard}, kSentinel, all.options());
    return all.narrow(0, 0, kGuard).equal(sentinel) && all.narrow(0, kGuard + count, kGuard).equal(sentinel);
  }
};

}  // namespace kvista::test
