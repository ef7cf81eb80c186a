// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "core/base/error.h"

namespace kvista {

/// What every tensor of one attention has in common.
struct LatentTensors {
  at::Device device;
  at::ScalarType type;
  [[nodiscard]] int bytes() const { return static_cast<int>(c10::elementSize(type)); }
};

/// One sentence about the first thing that is wrong with a tensor. -1 in `shape`: any size.
Result<void> checkTensor(std::string_view name, const at::Tensor& x, at::IntArrayRef shape,
                         const LatentTensors& wanted);
/// The same for queries [batch, queryHeads, width] and a cache [batch, tokens, at least keyRecord or valueRecord],
/// whose elements of a record are neighbours of type `records`.
Result<void> checkCall(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                       std::int64_t queryHeads, std::int64_t width, std::int64_t keyRecord, std::int64_t valueRecord,
                       const LatentTensors& wanted, at::ScalarType records);

/// Bytes of plain values, on a device.
at::Tensor bytesOnDevice(const void* data, std::size_t bytes, at::Device device);
/// Empty where the kernels of `device` take numbers of this type.
std::string_view typeRefusal(at::ScalarType type);

}  // namespace kvista
