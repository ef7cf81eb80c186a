// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/gallery/made_up_model.h"

#include <cmath>

namespace kvista {

MadeUpModel::MadeUpModel(int layers, int directions, Storage storage) {
  const int heads = 16, headDim = directions / (2 * heads);
  context_.shape = {"llama", layers, heads, heads, headDim, headDim, heads * headDim, 32000, 0};
  context_.loss.baseLoss = std::log(37.57);
  context_.loss.gradients = true;
  context_.device = deviceProfiles().front();
  plan_.method = storage == Storage::coded ? "coded-joint" : "joint";
  plan_.allocator = "waterline";
  plan_.storage = storage;
  request_.allowedWidths = standardWidths(storage);
  for (int layer = 0; layer < layers; ++layer) {
    BudgetUnit unit;
    unit.layer = layer;
    unit.side = 2;
    unit.maximumRank = directions;
    // A few strong directions, a long bend, and a fall at the end; later layers a little flatter.
    const double bend = 2.6 - 1.1 * layer / layers + 0.3 * std::sin(1.7 * layer);
    for (int i = 0; i < directions; ++i) {
      const double part = (i + 0.5) / directions;
      unit.spectrum.eigenvalues.push_back(std::exp(-0.9 - 1.25 * std::log1p(60.0 * i / directions) - bend * part -
                                                   4.5 * std::pow(part, 2.2) - 2.2 * (1 - std::exp(-90 * part))));
    }
    request_.units.push_back(std::move(unit));
    Group group;
    for (const Side side : {Side::key, Side::value})
      for (int head = 0; head < heads; ++head) group.slots.push_back({layer, side, head});
    group.widths.assign(static_cast<std::size_t>(directions), 0);
    plan_.groups.push_back(std::move(group));
  }
  table_ = WaterlineTable::make(request_).value();
  order_ = LayerOrder(request_.units, layers);
  spectra_ = order_.spectra();
  setLevel(levelFor(8));
}

void MadeUpModel::setLevel(double level) {
  level_ = level;
  table_.widthsAt(level, widths_);
  order_.fillWidths(widths_, spectra_);
  for (std::size_t i = 0; i < widths_.size(); ++i) plan_.groups[i].widths = widths_[i];
}

double MadeUpModel::levelFor(double timesSmaller) const {
  return table_.levelForBytes(
      static_cast<std::int64_t>(static_cast<double>(context_.shape.cacheBytesPerToken()) / timesSmaller));
}

double MadeUpModel::timesSmaller() const {
  return static_cast<double>(context_.shape.cacheBytesPerToken()) / static_cast<double>(table_.bytesAt(level_));
}

}  // namespace kvista
