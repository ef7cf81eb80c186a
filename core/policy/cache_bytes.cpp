// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/cache_bytes.h"

#include <algorithm>

namespace kvista {
namespace {

constexpr std::int64_t kPositionBytes = 4;

/// Whether a head's tokens can go without those of the other heads of its layer.
bool isOfOneHead(const Group& group) {
  return std::ranges::all_of(group.slots, [&](const Slot& slot) { return slot.head == group.slots.front().head && slot.layer == group.slots.front().layer; });
}

}  // namespace

CacheBytes::CacheBytes(const DecoderDescription& description, const CompressionPlan* plan, const CacheStorage* storage, const LatentCoder* coder,
                       Positions chooser)
    : chooser_(chooser), storage_(storage) {
  const ModelShape& shape = description.shape;
  fullToken_ = shape.cacheBytesPerToken();
  const bool byHead = plan == nullptr || std::ranges::all_of(plan->groups, isOfOneHead);
  const std::int64_t headBytes = std::int64_t{2} * (shape.headDim + shape.valueHeadDim);
  const std::int64_t units = byHead ? shape.kvHeads : 1, exact = byHead ? headBytes : headBytes * shape.kvHeads;
  const TokenBytes token = plan == nullptr ? TokenBytes{exact, exact, exact, 0} : TokenBytes{exact, 0, 0, plan->exactTokens};
  units_.assign(static_cast<std::size_t>(shape.layers), std::vector<TokenBytes>(static_cast<std::size_t>(units), token));
  for (std::size_t layer = 0; layer < units_.size(); ++layer)
    for (std::size_t unit = 0; unit < units_[layer].size(); ++unit) {
      units_[layer][unit].layer = static_cast<int>(layer);
      units_[layer][unit].unit = static_cast<int>(unit);
    }
  if (plan != nullptr) {
    for (const Group& group : plan->groups) {
      const Slot& first = group.slots.front();
      TokenBytes& unit = units_[static_cast<std::size_t>(first.layer)][byHead ? static_cast<std::size_t>(first.head) : 0];
      unit.stored += coder != nullptr ? coder->bytes(group.rank()) : group.storedBytes();
      unit.fresh += group.storedBytes();
    }
  }
  for (const LayerDescription& layer : description.layers)
    needsPositions_.push_back((plan != nullptr && plan->keyPosition == KeyPosition::beforeRope && layer.attention.rope) || layer.attention.linearBiases ||
                              layer.attention.slidingWindow);
}

std::int64_t CacheBytes::ofUnit(int layer, int unit, std::int64_t held, std::int64_t read) const {
  const bool isAsked = needsPositions_[static_cast<std::size_t>(layer)] || chooser_ == Positions::unit ||
                       (chooser_ == Positions::layer && unit == 0);
  const std::int64_t positions = held < read && isAsked ? held * kPositionBytes : 0;
  const TokenBytes& own = token(layer, unit);
  if (storage_ != nullptr) return positions + storage_->bytes(own, held);
  const std::int64_t exact = std::min(held, own.exactTokens);
  return positions + exact * own.exact + (held - exact) * own.stored;
}

std::int64_t CacheBytes::ofLayer(int layer, std::int64_t held, std::int64_t read) const {
  std::int64_t bytes = 0;
  for (int unit = 0; unit < units(layer); ++unit) bytes += ofUnit(layer, unit, held, read);
  return bytes;
}

}  // namespace kvista
