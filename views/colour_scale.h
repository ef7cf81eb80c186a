// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <vector>

#include "views/range_bar.h"

namespace kvista {

/// Which value has which colour: fitted to the values, set by hand, or given from outside.
class ColourScale {
 public:
  /// `values`: what is shown, without what says nothing; `unknown`: cells that have none.
  void setValues(std::vector<float> values, int unknown, bool difference);
  /// Holds until it is fitted or fixed again, whatever the values; null: fits.
  void fix(std::optional<Range> range);
  void fit(double percentile);
  /// For values that are no differences; `inverted` for both.
  void setColours(ColourMap map, bool inverted);

  /// Of values that are no differences.
  [[nodiscard]] ColourMap map() const { return map_; }
  [[nodiscard]] Range range() const { return record_.range; }
  [[nodiscard]] const ColourTable& table() const { return colourTable(record_.map, record_.inverted); }
  [[nodiscard]] const RangeBarRecord& record() const { return record_; }

 private:
  void update();
  std::vector<float> values_;
  bool difference_ = false;
  std::optional<Range> fixed_;
  double percentile_ = 0;
  ColourMap map_ = ColourMap::viridis;
  Range all_;  ///< Of all values.
  RangeBarRecord record_;
};

}  // namespace kvista
