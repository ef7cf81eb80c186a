// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <c10/core/ScalarType.h>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/model/description.h"
#include "core/plan/plan.h"

namespace kvista {

/// Memory that can be had without swapping, bytes, within the process's control group; absent where the system does not say.
std::optional<std::int64_t> availableMemory();

/// Memory that weights take beyond the mapped file: those that must be converted, in `dtype`.
std::int64_t weightBytes(const Checkpoint& checkpoint, const DecoderDescription& description, c10::ScalarType dtype);
/// Of a calibration pass of `tokensPerBatch` tokens at a time beyond the weights: sums, their file's copy, activations.
std::int64_t calibrationBytes(const ModelShape& shape, bool gradients, std::int64_t tokensPerBatch);
/// Of the factors of a plan over all of the model's groups, and one layer's decomposition.
std::int64_t planBytes(const CompressionPlan& plan, const ModelShape& shape);

/// Refuses (outOfMemory, with both numbers) what needs more than there is.
Result<void> checkMemory(std::int64_t bytes, std::string_view what);

}  // namespace kvista
