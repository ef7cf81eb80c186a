// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/spectrum_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace kvista {
namespace {

std::size_t bytesOf(const BudgetUnit& unit) {
  return sizeof(BudgetUnit) + unit.spectrum.eigenvalues.size() * sizeof(double) +
         unit.spectrum.distortion.size() * sizeof(float) + unit.widths.size();
}

}  // namespace

std::string spectrumKey(const CompressionPlan& plan, const Group& group) {
  std::vector<Slot> slots = group.slots;
  std::ranges::sort(slots);
  std::string key = fmt::format("{}/{}{}{}", plan.method, static_cast<int>(plan.metric),
                                static_cast<int>(plan.keyPosition), static_cast<int>(plan.storage));
  for (const Slot& slot : slots) {
    key += slot.side == Side::key ? 'K' : 'V';
    key += std::to_string(slot.head);
    key += '@';
    key += std::to_string(slot.layer);
  }
  return key;
}

const BudgetUnit* SpectrumCache::find(const std::string& key) {
  const auto place = places_.find(key);
  if (place == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, place->second);
  return &place->second->unit;
}

void SpectrumCache::insert(const std::string& key, BudgetUnit unit) {
  if (const auto place = places_.find(key); place != places_.end()) {
    bytes_ -= bytesOf(place->second->unit);
    entries_.erase(place->second);
  }
  bytes_ += bytesOf(unit);
  entries_.push_front({key, std::move(unit)});
  places_[key] = entries_.begin();
  while (bytes_ > maximumBytes_ && entries_.size() > 1) {
    bytes_ -= bytesOf(entries_.back().unit);
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

void SpectrumCache::clear() {
  entries_.clear();
  places_.clear();
  bytes_ = 0;
}

}  // namespace kvista
