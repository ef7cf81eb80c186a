// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/pareto.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvista {

std::vector<std::size_t> paretoFront(std::span<const CostQuality> points) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < points.size(); ++i)
    if (std::isfinite(points[i].cost) && std::isfinite(points[i].loss)) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return points[a].cost != points[b].cost ? points[a].cost < points[b].cost : points[a].loss < points[b].loss;
  });
  std::vector<std::size_t> front;
  double least = std::numeric_limits<double>::infinity();
  for (const std::size_t i : order) {
    if (points[i].loss >= least) continue;
    least = points[i].loss;
    front.push_back(i);
  }
  return front;
}

}  // namespace kvista
