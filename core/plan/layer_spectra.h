// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "core/plan/allocate.h"

namespace kvista {

/// The directions of all groups of one layer as one falling row: what a picture of the layer shows.
struct LayerSpectra {
  std::vector<float> eigenvalues;    ///< Falling.
  std::vector<std::uint8_t> widths;  ///< Bits of each, in the same order.
  bool operator==(const LayerSpectra&) const = default;
};

/// Where every direction of every unit stands in its layer's row. Sorted once, so that moving the water only moves
/// widths.
class LayerOrder {
 public:
  LayerOrder() = default;
  /// Units of layers outside 0 to `layers` - 1 are left out. Directions of equal eigenvalue keep the units' order.
  LayerOrder(const std::vector<BudgetUnit>& units, int layers);
  /// One entry a layer, all widths 0.
  [[nodiscard]] const std::vector<LayerSpectra>& spectra() const { return spectra_; }
  /// `widths`: one list a unit, each of its spectrum's size. `spectra` is a copy of spectra().
  void fillWidths(const std::vector<std::vector<std::uint8_t>>& widths, std::vector<LayerSpectra>& spectra) const;

 private:
  struct Place {
    std::uint32_t unit;
    std::uint32_t direction;
  };
  std::vector<LayerSpectra> spectra_;
  std::vector<std::vector<Place>> places_;  // As spectra_.
};

}  // namespace kvista
