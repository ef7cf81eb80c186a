// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/distributed/nccl/nccl_module.h"

#include <chrono>

#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

c10d::Backend* kvistaNccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, int device) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = std::chrono::hours(24 * 7);  // who is gone is seen otherwise
  auto backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, std::move(options));
  // Which GPU this process has is known from here on, also for what names no tensor.
  backend->setBoundDeviceId(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(device)));
  return backend.release();
}
