// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <thread>

#include "app/cli/verb.h"
#include "core/model/device.h"

namespace kvista {

std::vector<DoctorCheck> computeChecks() {
  Dl_info torch{};
  const bool known = dladdr(reinterpret_cast<const void*>(&at::get_num_threads), &torch) != 0 && torch.dli_fname;
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  const auto gpu = openDevice("cuda");
  return {
      {"libtorch", true, fmt::format("{}, {}", TORCH_VERSION, known ? torch.dli_fname : "linked in"), {}},
      {"CPU", true, fmt::format("{} of {} cores used", at::get_num_threads(), std::thread::hardware_concurrency()), {}},
      {"memory", true, formatBytes(memory), {}},
      {"CUDA GPU", gpu.has_value(), gpu ? describeDevice(*gpu) : gpu.error().message,
       "Everything also runs on the CPU. A GPU needs NVIDIA's driver and a torch that was built with CUDA.", true}};
}

}  // namespace kvista
