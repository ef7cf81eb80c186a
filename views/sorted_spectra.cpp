// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/sorted_spectra.h"

#include <algorithm>

namespace kvista {

SortedSpectra::SortedSpectra(const std::vector<LayerSpectra>& layers) {
  const auto falls = [&](const Place& a, const Place& b) {
    return layers[a.layer].eigenvalues[a.direction] > layers[b.layer].eigenvalues[b.direction];
  };
  std::vector<std::size_t> ends = {0};
  for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
    for (std::uint32_t i = 0; i < layers[layer].eigenvalues.size(); ++i) places_.push_back({layer, i});
    if (places_.size() > ends.back()) ends.push_back(places_.size());
  }
  // Sorted rows are merged two by two, which is far less than sorting a quarter of a million directions.
  while (ends.size() > 2) {
    std::vector<std::size_t> next = {0};
    for (std::size_t i = 0; i + 1 < ends.size(); i += 2) {
      const std::size_t end = std::min(i + 2, ends.size() - 1);
      const auto iterator = [&](std::size_t at) { return places_.begin() + static_cast<std::ptrdiff_t>(ends[at]); };
      std::inplace_merge(iterator(i), iterator(i + 1), iterator(end), falls);
      next.push_back(ends[end]);
    }
    ends = std::move(next);
  }
  if (places_.empty()) return;
  LayerSpectra& row = row_.emplace_back();
  row.eigenvalues.reserve(places_.size());
  for (const Place& place : places_) row.eigenvalues.push_back(layers[place.layer].eigenvalues[place.direction]);
  fillWidths(layers);
}

void SortedSpectra::fillWidths(const std::vector<LayerSpectra>& layers) {
  if (row_.empty()) return;
  row_.front().widths.resize(places_.size());
  std::ranges::transform(places_, row_.front().widths.begin(), [&](const Place& place) {
    const auto& widths = layers[place.layer].widths;
    return place.direction < widths.size() ? widths[place.direction] : std::uint8_t{0};
  });
}

std::size_t SortedSpectra::indexOf(Place place) const {
  const auto found = std::ranges::find_if(
      places_, [&](const Place& each) { return each.layer == place.layer && each.direction == place.direction; });
  return static_cast<std::size_t>(found - places_.begin());
}

}  // namespace kvista
