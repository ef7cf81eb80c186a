// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/device_timer.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <vector>

#include "core/model/device.h"

namespace kvista {
namespace {

std::string processorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (const std::size_t colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return "CPU";
}

}  // namespace

std::string nameOfDevice(at::Device device) {
  if (device.is_cpu()) return processorName();
  const std::string name = nameOfGpu(device.index());
  return name.empty() ? "GPU" : name;
}

DeviceTimer::DeviceTimer(at::Device device) : device_(device) {
  // More than any cache holds; on a GPU it also takes longer than the host takes to queue what is timed.
  const std::int64_t bytes = device.is_cpu() ? std::int64_t{64} << 20 : std::int64_t{512} << 20;
  from_ = at::zeros({bytes}, at::TensorOptions(at::kByte).device(device));
  to_ = at::empty_like(from_);
}

Result<double> DeviceTimer::once(const std::function<Result<void>()>& work) const {
  if (device_.is_cpu()) {
    const auto start = std::chrono::steady_clock::now();
    KVISTA_CHECK(work());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  const c10::impl::VirtualGuardImpl guard(device_.type());
  const c10::Stream stream = guard.getStream(device_);
  c10::Event begin(device_.type(), c10::EventFlag::BACKEND_DEFAULT),
      end(device_.type(), c10::EventFlag::BACKEND_DEFAULT);
  to_.copy_(from_);
  begin.record(stream);
  KVISTA_CHECK(work());
  end.record(stream);
  end.synchronize();
  return begin.elapsedTime(end) / 1000;
}

Result<double> DeviceTimer::median(const std::function<Result<void>()>& work, const Task& task) const {
  constexpr double kEnough = 0.5;  // seconds of work
  constexpr std::size_t kWarmUps = 3, kLeast = 5, kMost = 100;
  std::vector<double> seconds;
  double sum = 0;
  for (std::size_t run = 0; run < kWarmUps || seconds.size() < kLeast || (sum < kEnough && seconds.size() < kMost);
       ++run) {
    KVISTA_CHECK(task.checkStop());
    KVISTA_ASSIGN(const double taken, once(work));
    if (run < kWarmUps) continue;
    seconds.push_back(taken);
    sum += taken;
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::ranges::nth_element(seconds, middle);
  return *middle;
}

Result<double> DeviceTimer::copyBandwidth(const Task& task) const {
  const at::Tensor to = at::empty_like(to_);
  const auto copy = [&]() -> Result<void> {
    to.copy_(from_);
    return {};
  };
  KVISTA_ASSIGN(const double seconds, median(copy, task));
  return 2 * static_cast<double>(from_.numel()) / seconds;
}

Result<double> DeviceTimer::matrixRate(at::ScalarType type, const Task& task) const {
  const std::int64_t size = device_.is_cpu() ? 512 : 8192;
  const at::Tensor a = at::randn({size, size}, at::TensorOptions(type).device(device_));
  const auto multiply = [&]() -> Result<void> {
    (void)at::matmul(a, a);
    return {};
  };
  KVISTA_ASSIGN(const double seconds, median(multiply, task));
  return 2 * static_cast<double>(size) * static_cast<double>(size) * static_cast<double>(size) / seconds;
}

}  // namespace kvista
