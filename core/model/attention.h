// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace kvista {

/// Causal attention of a window from position 0. `queries` [b, queryHeads, n, d], `keys` [b, kvHeads, n, d], `values`
/// [b, kvHeads, n, dv]; query head h uses kv head h / (queryHeads / kvHeads). Answers [b, n, queryHeads * dv].
/// With a sliding window w, token i sees tokens i-w+1 .. i. Memory grows with n, not with n^2. Differentiable.
at::Tensor causalAttention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, double scale,
                           std::optional<std::int64_t> slidingWindow);

/// The same for one query that stands behind all keys: `queries` [b, queryHeads, 1, d].
at::Tensor attentionOfLast(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, double scale,
                           std::optional<std::int64_t> slidingWindow);

}  // namespace kvista
