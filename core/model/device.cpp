// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "core/base/amount.h"
#include "core/model/fused_operators.h"
#include "core/model/latent_operators.h"

namespace kvista {
namespace {

/// Our own CUDA kernels lie beside the program, or in its package's lib folder; where they were not built, libtorch's
/// own operators do the same work in more passes over memory.
void loadOwnKernels() {
  if (fused::areOnGpus()) return;
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::filesystem::path& place : {folder, folder / "../lib"}) {
    void* library = dlopen((place / "libkvista_cuda.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) continue;
    const auto fusedKernels = reinterpret_cast<decltype(&kvistaCudaKernels)>(dlsym(library, "kvistaCudaKernels"));
    const auto attention =
        reinterpret_cast<decltype(&kvistaLatentAttentionKernels)>(dlsym(library, "kvistaLatentAttentionKernels"));
    if (!fusedKernels || !attention) continue;
    useLatentAttention(at::kCUDA, *attention());
    fused::useOnGpus(*fusedKernels());
    return;
  }
}

}  // namespace

Result<c10::Device> openDevice(std::string_view name, int own) {
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
    if (name == "cuda" && count > 1) index = own;
    if (index >= count)
      return fail(ErrorCode::device, fmt::format("There is no GPU {}; this machine has {}.", index, count),
                  own > 0 ? "Start as many processes a host as it has GPUs." : "Use --device cpu or another index.");
  } catch (const std::exception& error) {
    return fail(ErrorCode::device, "No CUDA GPU can be used on this machine.", "Use --device cpu.", error.what());
  }
  loadOwnKernels();
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

/// libtorch has loaded the driver and asks the same one.
std::string nameOfGpu(int index) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  if (!driver) return {};
  const auto get = reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
  const auto name = reinterpret_cast<int (*)(char*, int, int)>(dlsym(driver, "cuDeviceGetName"));
  int handle = 0;
  std::array<char, 128> text{};
  const bool known =
      get && name && get(&handle, index) == 0 && name(text.data(), static_cast<int>(text.size()) - 1, handle) == 0;
  dlclose(driver);
  return known ? text.data() : "";
}

Result<DeviceMemory> memoryOf(c10::Device device) {
  try {
    const auto [free, total] = at::getDeviceAllocator(device.type())->getMemoryInfo(device.index());
    return DeviceMemory{static_cast<std::int64_t>(free), static_cast<std::int64_t>(total)};
  } catch (const std::exception& error) {
    return fail(ErrorCode::device, fmt::format("The memory of {} cannot be asked for.", device.str()), "",
                error.what());
  }
}

namespace {

std::optional<std::int64_t> numberIn(const char* file) {
  std::ifstream stream(file);
  std::int64_t number = 0;
  return stream >> number ? std::optional(number) : std::nullopt;  // "max" is no number
}

std::optional<std::int64_t> availableToSystem() {
  std::ifstream stream("/proc/meminfo");
  std::string name, unit;
  std::int64_t kibibytes = 0;
  while (stream >> name >> kibibytes) {
    if (name == "MemAvailable:") return kibibytes * 1024;
    std::getline(stream, unit);
  }
  return std::nullopt;
}

/// Cached file pages count as used, but are given back when memory is wanted.
std::int64_t cachedFiles() {
  std::ifstream stream("/sys/fs/cgroup/memory.stat");
  std::string name;
  std::int64_t bytes = 0;
  while (stream >> name >> bytes)
    if (name == "file") return bytes;
  return 0;
}

}  // namespace

std::optional<std::int64_t> availableMemory(c10::Device device) {
  if (!device.is_cpu()) {
    const auto memory = memoryOf(device);
    return memory ? std::optional(memory->free) : std::nullopt;
  }
  std::optional<std::int64_t> available = availableToSystem();
  const auto limit = numberIn("/sys/fs/cgroup/memory.max");
  const auto used = numberIn("/sys/fs/cgroup/memory.current");
  if (limit && used)
    available = std::min(available.value_or(*limit), std::max<std::int64_t>(0, *limit - *used + cachedFiles()));
  return available;
}

std::int64_t peakMemoryOf(c10::Device device) {
  if (device.is_cpu()) return 0;
  try {
    const auto statistics = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
    return statistics.reserved_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
  } catch (const std::exception&) {  // An allocator that does not count.
    return 0;
  }
}

void giveBackUnused(c10::Device device) {
  if (device.is_cpu()) return;
  try {
    at::getDeviceAllocator(device.type())->emptyCache();
    at::getHostAllocator(device.type())->empty_cache();
  } catch (const std::exception&) {  // Then there is nothing to give back; whoever computes next hears why.
  }
}

std::string describeDevice(c10::Device device) {
  if (!device.is_cpu()) {
    const std::string name = nameOfGpu(device.index());
    const auto memory = memoryOf(device);
    return fmt::format("{} ({}{})", name.empty() ? "GPU" : name, device.str(),
                       memory ? fmt::format(", {:.0f} GiB", static_cast<double>(memory->total) / (1 << 30)) : "");
  }
  const int cores = at::get_num_threads();
  return "CPU, " + amount(cores, "core");
}

}  // namespace kvista
