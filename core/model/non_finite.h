// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/decoder.h"

namespace kvista {

/// Looks for the first numbers of a forward pass over `ids` [windows, tokens] that are NaN or infinite, after a pass
/// gave such a loss. The error (numerical) names layer, window and token; `firstWindow` is the index in the text of the
/// first window.
Error nonFiniteError(const Decoder& decoder, const at::Tensor& ids, const CacheTransform* transform,
                     std::int64_t firstWindow, const Task& task);

}  // namespace kvista
