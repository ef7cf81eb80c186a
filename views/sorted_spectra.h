// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/plan/layer_spectra.h"

namespace kvista {

/// The directions of all layers as one falling row: where the water stands in the whole model.
class SortedSpectra {
 public:
  SortedSpectra() = default;
  /// Layers' rows must fall. Directions of equal eigenvalue keep the layers' order.
  explicit SortedSpectra(const std::vector<LayerSpectra>& layers);
  /// One entry, or none where there are no directions; widths as of fillWidths.
  [[nodiscard]] const std::vector<LayerSpectra>& row() const { return row_; }
  /// `layers`: the same directions with other widths.
  void fillWidths(const std::vector<LayerSpectra>& layers);
  struct Place {
    std::uint32_t layer = 0, direction = 0;
  };
  /// Where the direction at a place of the row comes from, and where one of a layer stands in it.
  [[nodiscard]] Place at(std::size_t index) const { return places_[index]; }
  [[nodiscard]] std::size_t indexOf(Place place) const;

 private:
  std::vector<LayerSpectra> row_;
  std::vector<Place> places_;
};

}  // namespace kvista
