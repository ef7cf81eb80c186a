// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "core/model/description.h"

namespace kvista {

/// Causal attention of a window from position 0, with the scale, sliding window, linear biases and cap that `attention`
/// says. `queries` [b, queryHeads, n, d], `keys` [b, kvHeads, n, d], `values` [b, kvHeads, n, dv]; query head h uses kv
/// head h / (queryHeads / kvHeads). `sinks` [queryHeads] are scores that take part in the softmax and have no values;
/// undefined: there are none. Answers [b, n, queryHeads * dv]. Memory grows with n, not with n^2. Differentiable.
at::Tensor causalAttention(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& keys,
                           const at::Tensor& values, const at::Tensor& sinks);

/// The same for one query that stands behind all keys: `queries` [b, queryHeads, 1, d].
at::Tensor attentionOfLast(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& keys,
                           const at::Tensor& values, const at::Tensor& sinks);

/// What a cache holds of several sequences, each head for itself: `keys` [b, kvHeads, s, d], `values` [b, kvHeads, s,
/// dv], `positions` int64 [b, 1 or kvHeads, s], -1 where a place is empty.
struct PlacedTokens {
  at::Tensor keys, values, positions;
};

/// The same as causalAttention for queries [b, queryHeads, n, d] at `places` (int64 [n]) that see cached tokens by
/// their positions: those at or before their own place, within a sliding window. Memory grows with n times s. Answers
/// [b, n, queryHeads * dv].
at::Tensor attentionByPlace(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& places,
                            const PlacedTokens& cached, const at::Tensor& sinks);

/// Its weights, [b, queryHeads, n, s], float32, rows of sum 1 (a sink's share is left out), or of zeros where a query
/// sees nothing of what is left; cached.values are not looked at.
at::Tensor weightsByPlace(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& places,
                          const PlacedTokens& cached);

/// What the queries at some `positions` (int64 [r]) give each key, [b, queryHeads, r, n], float32, rows of sum 1 (a
/// sink's share is left out): `queries` [b, queryHeads, r, d] against the whole window's `keys` [b, kvHeads, n, d].
at::Tensor attentionWeights(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& keys,
                            const at::Tensor& positions);

}  // namespace kvista
