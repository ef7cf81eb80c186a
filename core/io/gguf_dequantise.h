// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// Numbers of `bytes` as float32, for every type that GGUF weights may have: GGUF's block types as it lays them out,
/// and those of convertToFloat32. `bytes` must hold exactly `out.size()` numbers (else invalidArgument).
Result<void> dequantise(DataType type, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace kvista
