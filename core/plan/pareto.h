// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kvista {

/// Two things of which less is better.
struct CostQuality {
  double cost = 0;
  double loss = 0;
  bool operator==(const CostQuality&) const = default;
};

/// Indices, by rising cost, of the points that no other beats: none costs at most as much and loses at most as much,
/// one of the two strictly less. Of equal points the first one stands for all. Points that are not finite are left out.
std::vector<std::size_t> paretoFront(std::span<const CostQuality> points);

}  // namespace kvista
