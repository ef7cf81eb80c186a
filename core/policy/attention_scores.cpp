// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/attention_scores.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool1d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/max_pool1d.h>
#include <ATen/ops/sort.h>

#include <algorithm>

namespace kvista {

at::Tensor meanOfGroups(const at::Tensor& ofQueryHeads, std::int64_t kvHeads) {
  return ofQueryHeads.unflatten(1, {kvHeads, ofQueryHeads.size(1) / kvHeads}).mean(2);
}

at::Tensor recentAttentionOf(const LayerView& view) {
  return meanOfGroups(view.decoder.recentAttention(view.layer, view.cache, view.tokens), view.cache.keys.size(1));
}

at::Tensor pooled(const at::Tensor& scores, std::int64_t kernel, bool largest) {
  if (kernel == 1) return scores;
  const at::Tensor rows = scores.reshape({-1, 1, scores.size(-1)});
  const at::Tensor result =
      largest ? at::max_pool1d(rows, kernel, 1, kernel / 2)
              : at::avg_pool1d(rows, kernel, 1, kernel / 2, /*ceil_mode=*/false, /*count_include_pad=*/false);
  return result.reshape(scores.sizes());
}

at::Tensor largestAround(const at::Tensor& scores, std::int64_t kernel, std::int64_t border) {
  const std::int64_t last = std::min(border, scores.size(-1)), before = scores.size(-1) - last;
  if (last == 0 || before == 0) return pooled(scores, kernel, /*largest=*/true);
  return at::cat({pooled(scores.narrow(-1, 0, before), kernel, /*largest=*/true),
                  pooled(scores.narrow(-1, before, last), kernel, /*largest=*/true)},
                 -1);
}

at::Tensor ranksOf(const at::Tensor& scores) {
  const at::Tensor order = std::get<1>(at::sort(scores, /*stable=*/true, -1, /*descending=*/true));
  return at::empty_like(order).scatter_(-1, order, at::arange(scores.size(-1), order.options()).expand_as(order));
}

}  // namespace kvista
