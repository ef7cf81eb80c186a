// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "core/model/device.h"
#include "tests/unit/cuda/target.h"

namespace kvista::test {

Result<KernelTarget> kernelTarget() {
  KVISTA_ASSIGN(const at::Device device, openDevice("cuda"));
  const auto library = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libkvista_cuda.so";
  void* handle = dlopen(library.c_str(), RTLD_NOW);
  if (!handle) throw std::runtime_error(std::string("The kernels cannot be loaded: ") + dlerror());
  return KernelTarget{
      device, reinterpret_cast<decltype(&kvistaCudaKernels)>(dlsym(handle, "kvistaCudaKernels"))(),
      reinterpret_cast<decltype(&kvistaLatentAttentionKernels)>(dlsym(handle, "kvistaLatentAttentionKernels"))()};
}

}  // namespace kvista::test
