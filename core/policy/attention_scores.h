// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/policy/policy.h"

namespace kvista {

/// Of a number for each query head, [b, queryHeads, ...], the mean over those that share a kv head: [b, kvHeads, ...].
at::Tensor meanOfGroups(const at::Tensor& ofQueryHeads, std::int64_t kvHeads);

/// What the last queries of a layer give each place of its cache: [b, kvHeads, w, s], float32, the mean over the query
/// heads of each kv head.
at::Tensor recentAttentionOf(const LayerView& view);

/// The largest (or the mean) of `kernel` (odd) neighbours along the last axis, as many as there are at the ends.
at::Tensor pooled(const at::Tensor& scores, std::int64_t kernel, bool largest);

/// Of what queries give each place, [..., s], the largest of `kernel` (odd) neighbours; those before the last `border`
/// places and those among them are no neighbours of each other (SnapKV pools what comes before its observation window).
at::Tensor largestAround(const at::Tensor& scores, std::int64_t kernel, std::int64_t border);

/// Where each place stands when the highest come first, int64 as `scores`; of equals the earlier place comes first.
at::Tensor ranksOf(const at::Tensor& scores);

}  // namespace kvista
