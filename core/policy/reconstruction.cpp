// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/reconstruction.h"

#include <ATen/ops/maximum.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace kvista {
namespace {

constexpr std::int64_t kLeadIn = 8;

}  // namespace

std::int64_t longestReadAgain(const Decoder& decoder, std::int64_t part) {
  const std::int64_t most = decoder.description().maximumPositions;
  return most == 0 ? std::numeric_limits<std::int64_t>::max() : std::max(most / 2, most - part - kLeadIn);
}

Result<void> checkReadAgain(const Decoder& decoder, std::int64_t tokens, std::int64_t part) {
  const std::int64_t longest = longestReadAgain(decoder, part);
  if (tokens <= longest) return {};
  return fail(
      ErrorCode::invalidArgument,
      fmt::format(
          "To read {} tokens again behind themselves, {} at a time, takes {} positions, and the model was made for {}.",
          tokens, part, tokens + std::min(tokens, part + kLeadIn), decoder.description().maximumPositions),
      fmt::format("Use windows of at most {} tokens.", longest));
}

Result<std::vector<at::Tensor>> reconstructionScores(const Decoder& decoder, const LiveCache& cache,
                                                     const at::Tensor& ids, std::int64_t part, const Task& task) {
  KVISTA_CHECK(checkReadAgain(decoder, cache.tokens, part));
  std::vector<at::Tensor> highest(cache.layers.size());
  for (std::int64_t begin = 0; begin < ids.size(1); begin += part) {
    const std::int64_t first = std::max<std::int64_t>(0, begin - kLeadIn), end = std::min(ids.size(1), begin + part);
    LiveCache again = cache;  // tensors are shared: nothing changes them in place
    for (LiveLayer& layer : again.layers) layer.queries = at::Tensor();
    again.queryWindow = end - begin;
    again.beside = nullptr;
    again.sequenceLength = std::max(cache.sequenceLength, cache.tokens + end - first);
    KVISTA_CHECK(decoder.extend(ids.narrow(1, first, end - first), again, nullptr, task));
    for (std::size_t layer = 0; layer < highest.size(); ++layer) {
      const at::Tensor weights = decoder.recentAttention(static_cast<int>(layer), again.layers[layer], again.tokens);
      const std::int64_t heads = cache.layers[layer].keys.size(1);
      const at::Tensor own = weights.narrow(3, 0, cache.layers[layer].places())
                                 .amax(2)
                                 .unflatten(1, {heads, weights.size(1) / heads})
                                 .amax(2);
      highest[layer] = highest[layer].defined() ? at::maximum(highest[layer], own) : own;
    }
  }
  return highest;
}

}  // namespace kvista
