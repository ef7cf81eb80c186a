// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>

namespace kvista {

Result<c10::Device> openDevice(std::string_view name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  int index = 0;
  if (name.starts_with("cuda:")) {
    const std::string digits(name.substr(5));
    if (digits.empty() || digits.size() > 3 || digits.find_first_not_of("0123456789") != std::string::npos)
      return fail(ErrorCode::invalidArgument, fmt::format("\"{}\" is not a device.", name),
                  "Give cpu, cuda or cuda:N.");
    index = std::stoi(digits);
  } else if (name != "cuda") {
    return fail(ErrorCode::invalidArgument, fmt::format("\"{}\" is not a device.", name), "Give cpu, cuda or cuda:N.");
  }
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL))
    return fail(ErrorCode::device, "libtorch's CUDA part could not be loaded.",
                "Install torch with CUDA (packaging/setup does), or use --device cpu.", dlerror());
  try {
    at::globalContext().lazyInitDevice(c10::kCUDA);
    const int count = static_cast<int>(at::globalContext().getAcceleratorHooksInterface(c10::kCUDA).deviceCount());
    if (index >= count)
      return fail(ErrorCode::device, fmt::format("There is no GPU {}; this machine has {}.", index, count),
                  "Use --device cpu or another index.");
  } catch (const std::exception& error) {
    return fail(ErrorCode::device, "No CUDA GPU can be used on this machine.", "Use --device cpu.", error.what());
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

std::string describeDevice(c10::Device device) {
  if (!device.is_cpu()) return device.str();
  const int cores = at::get_num_threads();
  return fmt::format("CPU, {} core{}", cores, cores == 1 ? "" : "s");
}

}  // namespace kvista
