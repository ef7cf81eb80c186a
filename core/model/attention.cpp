// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace kvista {

namespace {

/// Each kv head once per query head that uses it: the fused CPU kernels know no groups.
at::Tensor repeatHeads(const at::Tensor& x, std::int64_t queryHeads) {
  const std::int64_t repeats = queryHeads / x.size(1);
  if (repeats == 1) return x;
  return x.unsqueeze(2).expand({x.size(0), x.size(1), repeats, x.size(2), x.size(3)}).flatten(1, 2);
}

/// Places of tokens, int64 [count].
struct Places {
  std::int64_t first, count;
  [[nodiscard]] at::Tensor on(at::Device device) const {
    return at::arange(first, first + count, at::TensorOptions(at::kLong).device(device));
  }
};

/// What is added to the scores of keys at `places`, [queryHeads, 1, keys] of [keys] or [b, queryHeads, 1, keys] of [b,
/// queryHeads, 1, keys].
at::Tensor biasesOf(const LinearBiases& biases, double scale, const at::Tensor& places, at::ScalarType dtype) {
  at::Tensor slopes = at::tensor(std::vector<float>(biases.slopes.begin(), biases.slopes.end())).to(places.device());
  // So are the places, from 257 on, and the products.
  if (biases.isRoundedToBfloat16) slopes = slopes.to(at::kBFloat16);
  const at::Tensor sums = (slopes.view({-1, 1, 1}) * places).to(at::kFloat);
  return (biases.isBeforeScale ? sums * scale : sums).to(dtype);
}

/// What is added to the scores of keys at `keyPlaces`, or which of them are seen; nothing where every key is, as it
/// stands.
std::optional<at::Tensor> maskOf(const AttentionDescription& attention, const std::optional<at::Tensor>& isVisible,
                                 const at::Tensor& keyPlaces, at::ScalarType dtype) {
  if (!attention.linearBiases) return isVisible;
  const at::Tensor biases = biasesOf(*attention.linearBiases, attention.scale, keyPlaces, dtype);
  return isVisible ? biases.masked_fill(isVisible->logical_not(), -std::numeric_limits<double>::infinity()) : biases;
}

/// The softmax of scores, float32; `keys` of every query head.
at::Tensor weightsOf(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& keys,
                     const std::optional<at::Tensor>& mask) {
  at::Tensor scores = at::matmul(queries, keys.transpose(2, 3)) * attention.scale;
  if (attention.scoreCap > 0) scores = (scores / attention.scoreCap).tanh() * attention.scoreCap;
  if (mask)
    scores = mask->scalar_type() == at::kBool
                 ? scores.masked_fill(mask->logical_not(), -std::numeric_limits<double>::infinity())
                 : scores + *mask;
  return at::softmax(scores, -1, at::kFloat);
}

/// One more key of zeros, whose score the mask makes the sink's, and one more value of zeros.
struct WithSinks {
  at::Tensor keys, values, mask;
};

WithSinks withSinks(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                    const std::optional<at::Tensor>& mask, const at::Tensor& sinks) {
  const auto longer = [](const at::Tensor& x) {
    return at::cat({x, at::zeros({x.size(0), x.size(1), 1, x.size(3)}, x.options())}, 2);
  };
  const std::int64_t batch = mask && mask->dim() == 4 ? mask->size(0) : 1;
  at::Tensor added = at::zeros({batch, sinks.size(0), queries.size(2), keys.size(2)}, queries.options());
  if (mask && mask->scalar_type() == at::kBool)
    added.masked_fill_(mask->logical_not(), -std::numeric_limits<double>::infinity());
  else if (mask)
    added = added + *mask;
  const at::Tensor column = sinks.to(queries.scalar_type()).view({1, -1, 1, 1}).expand({batch, -1, queries.size(2), 1});
  return {longer(keys), longer(values), at::cat({added, column}, 3)};
}

/// Attention of the queries at some places to the keys at others. Without a mask, every key is seen.
at::Tensor attend(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& keys,
                  const at::Tensor& values, const std::optional<at::Tensor>& isVisible, const at::Tensor& keyPlaces,
                  const at::Tensor& sinks) {
  const std::optional<at::Tensor> mask = maskOf(attention, isVisible, keyPlaces, queries.scalar_type());
  if (sinks.defined()) {
    const WithSinks all = withSinks(queries, keys, values, mask, sinks);
    if (attention.scoreCap == 0)
      return at::scaled_dot_product_attention(queries, all.keys, all.values, all.mask, 0.0, false, attention.scale);
    return at::matmul(weightsOf(attention, queries, all.keys, all.mask).to(values.scalar_type()), all.values);
  }
  if (attention.scoreCap == 0)
    return at::scaled_dot_product_attention(queries, keys, values, mask, 0.0, false, attention.scale);
  return at::matmul(weightsOf(attention, queries, keys, mask).to(values.scalar_type()), values);
}

/// Blocks of queries against the keys that some query of the block sees.
at::Tensor inBlocks(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& keys,
                    const at::Tensor& values, const at::Tensor& sinks) {
  constexpr std::int64_t kBlock = 256;
  const std::int64_t tokens = queries.size(2), window = attention.slidingWindow.value_or(tokens);
  std::vector<at::Tensor> blocks;
  for (std::int64_t begin = 0; begin < tokens; begin += kBlock) {
    const Places asking{begin, std::min(kBlock, tokens - begin)};
    const std::int64_t firstKey = std::max<std::int64_t>(0, begin - window + 1);
    const Places seen{firstKey, begin + asking.count - firstKey};
    const at::Tensor distance = asking.on(queries.device()).unsqueeze(1) - seen.on(queries.device()).unsqueeze(0);
    blocks.push_back(attend(attention, queries.narrow(2, begin, asking.count), keys.narrow(2, firstKey, seen.count),
                            values.narrow(2, firstKey, seen.count), distance.ge(0).logical_and_(distance.lt(window)),
                            seen.on(queries.device()), sinks));
  }
  return at::cat(blocks, 2);
}

}  // namespace

at::Tensor causalAttention(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& keys,
                           const at::Tensor& values, const at::Tensor& sinks) {
  const at::Tensor allKeys = repeatHeads(keys, queries.size(1));
  const at::Tensor allValues = repeatHeads(values, queries.size(1));
  const bool slides = attention.slidingWindow && *attention.slidingWindow < queries.size(2);
  const bool isPlain = !slides && !attention.linearBiases && attention.scoreCap == 0 && !sinks.defined();
  const at::Tensor output =
      isPlain ? at::scaled_dot_product_attention(queries, allKeys, allValues, std::nullopt, 0.0, true, attention.scale)
              : inBlocks(attention, queries, allKeys, allValues, sinks);
  return output.transpose(1, 2).flatten(2);
}

at::Tensor attentionOfLast(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& keys,
                           const at::Tensor& values, const at::Tensor& sinks) {
  const std::int64_t tokens = keys.size(2), seen = std::min(tokens, attention.slidingWindow.value_or(tokens));
  const auto last = [&](const at::Tensor& x) { return repeatHeads(x.narrow(2, tokens - seen, seen), queries.size(1)); };
  return attend(attention, queries, last(keys), last(values), std::nullopt,
                Places{tokens - seen, seen}.on(queries.device()), sinks)
      .transpose(1, 2)
      .flatten(2);
}

namespace {

/// [b, queryHeads, 1, s]: a cached token's place, for each query head.
at::Tensor placesOf(const PlacedTokens& cached, std::int64_t queryHeads) {
  const std::int64_t heads = cached.positions.size(1), repeats = queryHeads / heads;
  const at::Tensor places = repeats == 1 ? cached.positions : cached.positions.repeat_interleave(repeats, 1);
  return places.unsqueeze(2);
}

/// Which of them each query sees, [b, queryHeads, n, s].
at::Tensor isSeen(const AttentionDescription& attention, const at::Tensor& places, const at::Tensor& keyPlaces) {
  const at::Tensor distance = places.view({1, 1, -1, 1}) - keyPlaces;
  const at::Tensor isBefore = distance.ge(0).logical_and_(keyPlaces.ge(0));
  return attention.slidingWindow ? isBefore.logical_and(distance.lt(*attention.slidingWindow)) : isBefore;
}

}  // namespace

at::Tensor attentionByPlace(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& places,
                            const PlacedTokens& cached, const at::Tensor& sinks) {
  const std::int64_t heads = queries.size(1);
  const at::Tensor keyPlaces = placesOf(cached, heads);
  return attend(attention, queries, repeatHeads(cached.keys, heads), repeatHeads(cached.values, heads),
                isSeen(attention, places, keyPlaces), keyPlaces, sinks)
      .transpose(1, 2)
      .flatten(2);
}

at::Tensor weightsByPlace(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& places,
                          const PlacedTokens& cached) {
  const at::Tensor keyPlaces = placesOf(cached, queries.size(1)), seen = isSeen(attention, places, keyPlaces);
  const at::Tensor weights = weightsOf(attention, queries, repeatHeads(cached.keys, queries.size(1)),
                                       maskOf(attention, seen, keyPlaces, queries.scalar_type()));
  return weights.masked_fill(seen.any(3, /*keepdim=*/true).logical_not(), 0);  // a softmax over nothing is NaN
}

at::Tensor attentionWeights(const AttentionDescription& attention, const at::Tensor& queries, const at::Tensor& keys,
                            const at::Tensor& positions) {
  const at::Tensor keyPlaces = at::arange(keys.size(2), positions.options());
  const at::Tensor distance = positions.unsqueeze(1) - keyPlaces;
  const at::Tensor isVisible = distance.ge(0).logical_and_(distance.lt(attention.slidingWindow.value_or(keys.size(2))));
  return weightsOf(attention, queries, repeatHeads(keys, queries.size(1)),
                   maskOf(attention, isVisible, keyPlaces, queries.scalar_type()));
}

}  // namespace kvista
