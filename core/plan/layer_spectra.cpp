// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/layer_spectra.h"

#include <algorithm>
#include <cstddef>

namespace kvista {

LayerOrder::LayerOrder(const std::vector<BudgetUnit>& units, int layers)
    : spectra_(static_cast<std::size_t>(std::max(layers, 0))), places_(spectra_.size()) {
  for (std::uint32_t u = 0; u < units.size(); ++u) {
    if (units[u].layer < 0 || units[u].layer >= layers) continue;
    auto& places = places_[static_cast<std::size_t>(units[u].layer)];
    for (std::uint32_t d = 0; d < units[u].spectrum.eigenvalues.size(); ++d) places.push_back({u, d});
  }
  for (std::size_t layer = 0; layer < places_.size(); ++layer) {
    const auto eigenvalueOf = [&](const Place& place) {
      return units[place.unit].spectrum.eigenvalues[place.direction];
    };
    std::stable_sort(places_[layer].begin(), places_[layer].end(),
                     [&](const Place& a, const Place& b) { return eigenvalueOf(a) > eigenvalueOf(b); });
    for (const Place& place : places_[layer])
      spectra_[layer].eigenvalues.push_back(static_cast<float>(eigenvalueOf(place)));
    spectra_[layer].widths.resize(places_[layer].size());
  }
}

void LayerOrder::fillWidths(const std::vector<std::vector<std::uint8_t>>& widths,
                            std::vector<LayerSpectra>& spectra) const {
  for (std::size_t layer = 0; layer < places_.size() && layer < spectra.size(); ++layer)
    std::transform(places_[layer].begin(), places_[layer].end(), spectra[layer].widths.begin(),
                   [&](const Place& place) { return widths[place.unit][place.direction]; });
}

}  // namespace kvista
