// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "core/base/error.h"
#include "core/base/task.h"

namespace kvista {

/// The driver's name of a GPU ("NVIDIA H200"), the processor's of a CPU where the system gives it.
std::string nameOfDevice(at::Device device);

/// Times work on a device as it is met while decoding: with other data in the caches. On a GPU by events on its own
/// clock, while the host is ahead of it; on a CPU by the clock of the machine.
class DeviceTimer {
 public:
  explicit DeviceTimer(at::Device device);
  /// Median of many runs after a warm-up, seconds. `work` only queues on a GPU. Errors: what `work` answers, cancelled.
  Result<double> median(const std::function<Result<void>()>& work, const Task& task) const;
  /// Bytes a second that a copy within the device's memory reads and writes, both counted.
  Result<double> copyBandwidth(const Task& task) const;
  /// Operations a second of a product of large square matrices; a multiply-add is two.
  Result<double> matrixRate(at::ScalarType type, const Task& task) const;

 private:
  Result<double> once(const std::function<Result<void>()>& work) const;

  at::Device device_;
  at::Tensor from_, to_;  // what is copied before each run
};

}  // namespace kvista
