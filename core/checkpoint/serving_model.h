// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "core/base/error.h"
#include "core/checkpoint/open_model.h"
#include "core/io/checkpoint.h"

namespace kvista {

/// `model_type` of the form `serve`.
inline constexpr std::string_view kServedType = "kvista_serving";

/// True for a checkpoint in the form `serve`.
bool isServed(const Checkpoint& checkpoint);

/// The same model in the original architecture. Of each layer key_basis and query_basis [heads, d, r] become the
/// factors of its keys after RoPE. v_proj.weight [heads r, in] becomes rows of a projection of d numbers a head, the
/// others zeros, and o_proj.weight [out, query heads r] likewise columns; where the original has biases of values but
/// none of the output, one of the numbers that are left over is always 1 and its column is the exported output's bias.
/// Errors: corruptFile, naming field or tensor.
Result<OpenedModel> openServed(const Checkpoint& checkpoint);

}  // namespace kvista
