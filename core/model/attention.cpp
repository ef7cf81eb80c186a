// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <vector>

namespace kvista {

namespace {

/// Each kv head once per query head that uses it: the fused CPU kernels know no groups.
at::Tensor repeatHeads(const at::Tensor& x, std::int64_t queryHeads) {
  const std::int64_t repeats = queryHeads / x.size(1);
  if (repeats == 1) return x;
  return x.unsqueeze(2).expand({x.size(0), x.size(1), repeats, x.size(2), x.size(3)}).flatten(1, 2);
}

/// Blocks of queries against the keys that some query of the block sees.
at::Tensor slidingAttention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, double scale,
                            std::int64_t window) {
  constexpr std::int64_t kBlock = 256;
  const std::int64_t tokens = queries.size(2);
  const at::Tensor positions = at::arange(tokens, queries.options().dtype(at::kLong));
  std::vector<at::Tensor> blocks;
  for (std::int64_t begin = 0; begin < tokens; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, tokens - begin);
    const std::int64_t firstKey = std::max<std::int64_t>(0, begin - window + 1);
    const std::int64_t keyCount = begin + count - firstKey;
    const at::Tensor distance =
        positions.narrow(0, begin, count).unsqueeze(1) - positions.narrow(0, firstKey, keyCount).unsqueeze(0);
    const at::Tensor isVisible = distance.ge(0).logical_and_(distance.lt(window));
    blocks.push_back(
        at::scaled_dot_product_attention(queries.narrow(2, begin, count), keys.narrow(2, firstKey, keyCount),
                                         values.narrow(2, firstKey, keyCount), isVisible, 0.0, false, scale));
  }
  return at::cat(blocks, 2);
}

}  // namespace

at::Tensor causalAttention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, double scale,
                           std::optional<std::int64_t> slidingWindow) {
  const at::Tensor allKeys = repeatHeads(keys, queries.size(1));
  const at::Tensor allValues = repeatHeads(values, queries.size(1));
  const at::Tensor output =
      slidingWindow && *slidingWindow < queries.size(2)
          ? slidingAttention(queries, allKeys, allValues, scale, *slidingWindow)
          : at::scaled_dot_product_attention(queries, allKeys, allValues, std::nullopt, 0.0, true, scale);
  return output.transpose(1, 2).flatten(2);
}

at::Tensor attentionOfLast(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, double scale,
                           std::optional<std::int64_t> slidingWindow) {
  const std::int64_t seen = std::min(keys.size(2), slidingWindow.value_or(keys.size(2)));
  const auto last = [&](const at::Tensor& x) { return repeatHeads(x.narrow(2, x.size(2) - seen, seen), queries.size(1)); };
  return at::scaled_dot_product_attention(queries, last(keys), last(values), std::nullopt, 0.0, false, scale).transpose(1, 2).flatten(2);
}

}  // namespace kvista
