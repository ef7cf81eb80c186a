// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace kvista {

/// "cpu", "cuda" or "cuda:N". libtorch's CUDA part is loaded only here, on first use: programs that stay on the CPU
/// start without it. "cuda" is the GPU of index `own` where there are several: of processes that share a host each is
/// given its own, unless whoever started them shows each a single one. Errors (device): unknown name, no CUDA part
/// installed, no such GPU.
Result<c10::Device> openDevice(std::string_view name, int own = 0);

struct DeviceMemory {
  std::int64_t free = 0, total = 0;  ///< Bytes.
};
/// Of a GPU that openDevice opened. Errors (device): the driver does not say.
Result<DeviceMemory> memoryOf(c10::Device device);

/// Memory that can be had, bytes; absent where the system does not say. On the CPU: without swapping and within the
/// process's control group.
std::optional<std::int64_t> availableMemory(c10::Device device);

/// Tokens that a pass takes at a time where nothing else is said: a GPU wants more of them to be busy.
inline std::int64_t usualTokensPerStep(c10::Device device) { return device.is_cpu() ? 2048 : 8192; }

/// The most memory of a GPU that was reserved for this process at a time, bytes; 0 on the CPU.
std::int64_t peakMemoryOf(c10::Device device);

/// Returns memory of a GPU, and main memory pinned for it, that libtorch keeps for later allocations.
void giveBackUnused(c10::Device device);

/// The driver's own name of a GPU that openDevice opened; empty where it gives none.
std::string nameOfGpu(int index);

/// What `device` is, in words: "CPU, 2 cores", with as many as there are threads at work; "NVIDIA H200 (cuda:0, 139
/// GiB)".
std::string describeDevice(c10::Device device);

}  // namespace kvista
