// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/non_finite.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

namespace kvista {
namespace {

constexpr const char* kHint = "Look for damaged weights with `kvista inspect --weights`, or compute in float32.";

/// Window and token of the first row of `numbers` [b, n, ...] that is not finite.
std::optional<std::pair<std::int64_t, std::int64_t>> firstNonFinite(const at::Tensor& numbers) {
  const at::Tensor bad = numbers.isfinite().flatten(2).all(2).logical_not();
  if (!bad.any().item<bool>()) return std::nullopt;
  const at::Tensor place = bad.nonzero()[0].cpu();
  return std::pair(place[0].item<std::int64_t>(), place[1].item<std::int64_t>());
}

}  // namespace

Error nonFiniteError(const Decoder& decoder, const at::Tensor& ids, const CacheTransform* transform,
                     std::int64_t firstWindow, const Task& task) {
  std::optional<Error> found;
  const auto look = [&](const at::Tensor& numbers, std::int64_t first, const std::string& what) {
    if (found) return;
    if (const auto place = firstNonFinite(numbers))
      found = Error{ErrorCode::numerical,
                    fmt::format("{} are not finite from token {} of window {} of the text on.", what, place->second,
                                firstWindow + first + place->first),
                    {},
                    kHint};
  };
  // What enters a layer is what the one before it gave.
  const auto outputOf = [](int layer) {
    return layer < 0 ? std::string("The embeddings") : fmt::format("The outputs of layer {}", layer);
  };
  const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
    look(record.attentionInput, record.firstWindow, outputOf(record.layer - 1));
    look(record.keys, record.firstWindow, fmt::format("The keys of layer {}", record.layer));
    look(record.values, record.firstWindow, fmt::format("The values of layer {}", record.layer));
    look(record.attentionOutput, record.firstWindow, fmt::format("The attention outputs of layer {}", record.layer));
    return {};
  };
  const auto passed = decoder.forward(ids, transform, visitor, false, task);
  if (!passed) return passed.error();
  look(passed->hiddenLast, 0, outputOf(decoder.shape().layers - 1));
  if (found) return *found;
  return {ErrorCode::numerical,
          fmt::format("The loss is not finite in windows {} to {} of the text, though what every layer gives is.",
                      firstWindow, firstWindow + ids.size(0) - 1),
          {},
          kHint};
}

}  // namespace kvista
