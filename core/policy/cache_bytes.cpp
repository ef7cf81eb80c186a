// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/cache_bytes.h"

#include <algorithm>
#include <numeric>

namespace kvista {
namespace {

constexpr std::int64_t kPositionBytes = 4;

}  // namespace

bool isOfOneHead(const Group& group) {
  return std::ranges::all_of(group.slots, [&](const Slot& slot) { return slot.head == group.slots.front().head; });
}

std::vector<std::vector<int>> layersStoredTogether(const CompressionPlan* plan, int layers) {
  std::vector<int> firsts(static_cast<std::size_t>(layers));  // the first layer of each one's set
  std::iota(firsts.begin(), firsts.end(), 0);
  const auto join = [&](int one, int other) {
    const auto [first, second] =
        std::minmax(firsts[static_cast<std::size_t>(one)], firsts[static_cast<std::size_t>(other)]);
    std::ranges::replace(firsts, int{second}, int{first});
  };
  if (plan != nullptr) {
    for (int layer = 0; layer < layers; ++layer) {
      if (const auto from = predictedFrom(*plan, layer); from && !storesTokenNumbers(*plan, *from)) join(*from, layer);
      if (readsAnotherLayer(*plan, layer)) join(plan->sharedFrom[static_cast<std::size_t>(layer)], layer);
    }
    for (const Group& group : plan->groups)
      for (const Slot& slot : group.slots) join(group.slots.front().layer, slot.layer);
  }
  std::vector<std::vector<int>> sets;
  for (int layer = 0; layer < layers; ++layer) {
    const int first = firsts[static_cast<std::size_t>(layer)];
    if (first == layer)
      sets.push_back({layer});
    else
      std::ranges::find_if(sets, [&](const std::vector<int>& set) { return set.front() == first; })->push_back(layer);
  }
  return sets;
}

CacheBytes::CacheBytes(const DecoderDescription& description, const CompressionPlan* plan, const CacheStorage* storage,
                       Positions chooser)
    : sets_(layersStoredTogether(plan, description.shape.layers)), chooser_(chooser), storage_(storage) {
  const ModelShape& shape = description.shape;
  fullToken_ = shape.cacheBytesPerToken();
  const bool byHead = plan == nullptr || std::ranges::all_of(plan->groups, isOfOneHead);
  const int units = byHead ? shape.kvHeads : 1;
  const std::int64_t exact = std::int64_t{2} * (shape.headDim + shape.valueHeadDim) * (shape.kvHeads / units);
  std::vector<std::size_t> setOf(static_cast<std::size_t>(shape.layers));
  for (const std::vector<int>& set : sets_) {
    TokenBytes token;
    token.exactTokens = plan != nullptr ? plan->exactTokens : 0;
    token.layer = set.front();
    bool needsPositions = false;
    for (const int layer : set) {
      setOf[static_cast<std::size_t>(layer)] = units_.size();
      const bool isNumbered = plan != nullptr && storesTokenNumbers(*plan, layer);
      if (!isNumbered) token.exact += exact;
      if (plan == nullptr || !(isNumbered || readsAnotherLayer(*plan, layer))) token.first += exact;
      const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
      needsPositions = needsPositions ||
                       (plan != nullptr && plan->keyPosition == KeyPosition::beforeRope && attention.rope) ||
                       attention.linearBiases || attention.slidingWindow;
    }
    if (plan == nullptr) token.stored = token.exact;
    needsPositions_.push_back(needsPositions);
    units_.emplace_back(static_cast<std::size_t>(units), token);
    for (int unit = 0; unit < units; ++unit) units_.back()[static_cast<std::size_t>(unit)].unit = unit;
  }
  if (plan == nullptr) return;
  numbersTokens_ = plan->tokenNumbers;
  for (std::size_t i = 0; i < plan->groups.size(); ++i) {
    const Group& group = plan->groups[i];
    const Slot& first = group.slots.front();
    TokenBytes& unit =
        units_[setOf[static_cast<std::size_t>(first.layer)]][byHead ? static_cast<std::size_t>(first.head) : 0];
    unit.stored += group.storedBytes();
    unit.groups.push_back(i);
  }
}

std::int64_t CacheBytes::ofUnit(std::size_t set, int unit, std::int64_t held, std::int64_t read) const {
  const bool isAsked =
      needsPositions_[set] || chooser_ == Positions::unit || (chooser_ == Positions::layer && unit == 0);
  const std::int64_t positions = held < read && isAsked ? held * kPositionBytes : 0;
  const std::int64_t numbers = set == 0 && unit == 0 ? ofTokenNumbers(read) : 0;
  const TokenBytes& own = token(set, unit);
  return positions + numbers + (storage_ != nullptr ? storage_->bytes(own, held) : own.ofTokens(held));
}

std::int64_t CacheBytes::ofSet(std::size_t set, std::int64_t held, std::int64_t read) const {
  std::int64_t bytes = 0;
  for (int unit = 0; unit < units(set); ++unit) bytes += ofUnit(set, unit, held, read);
  return bytes;
}

}  // namespace kvista
