// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/colour_scale.h"

#include <algorithm>

namespace kvista {
namespace {

constexpr int kBins = 24;

}  // namespace

void ColourScale::setValues(std::vector<float> values, int unknown, bool difference) {
  values_ = std::move(values);
  record_.unknown = unknown;
  record_.counts.clear();
  difference_ = difference;
  all_ = fitRange(values_, 0, difference);
  update();
}

void ColourScale::fix(std::optional<Range> range) {
  fixed_ = range && range->span() > 0 ? range : std::nullopt;
  update();
}

void ColourScale::fit(double percentile) {
  fixed_ = std::nullopt;
  percentile_ = percentile;
  update();
}

void ColourScale::setColours(ColourMap map, bool inverted) {
  if (map != ColourMap::difference) map_ = map;
  record_.inverted = inverted;
  update();
}

void ColourScale::update() {
  record_.map = difference_ ? ColourMap::difference : map_;
  record_.percentile = fixed_ ? -1 : percentile_;
  record_.range = fixed_ ? *fixed_ : percentile_ > 0 ? fitRange(values_, percentile_, difference_) : all_;
  const Range extent{std::min(all_.low, record_.range.low), std::max(all_.high, record_.range.high)};
  if (extent == record_.extent && !record_.counts.empty()) return;
  record_.extent = extent;
  record_.counts = histogram(values_, extent, kBins);
}

}  // namespace kvista
