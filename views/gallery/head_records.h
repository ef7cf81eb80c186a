// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cmath>
#include <random>

#include "views/heatmap_record.h"

namespace kvista {

/// Similarities as heads have them: each group has a direction of its own that its heads share more or less.
inline HeatmapRecord madeUpHeatmap(int heads, int groupSize, int layer, Side side = Side::key) {
  HeatmapRecord record;
  record.layer = layer;
  record.side = side;
  record.title =
      side == Side::key ? QStringLiteral("Layer %1 · keys").arg(layer) : QStringLiteral("Layer %1 · values").arg(layer);
  record.measure = QStringLiteral("linear CKA");
  record.explanation =
      QStringLiteral("Linear CKA of two heads: ‖Cᵢⱼ‖² / (‖Cᵢᵢ‖ ‖Cⱼⱼ‖), no unit, 0 to 1.\nKornblith et al. 2019.");
  std::mt19937 random(static_cast<unsigned>(layer * 2 + (side == Side::key ? 0 : 1)) + 17U);
  std::normal_distribution<double> normal;
  const int groups = (heads + groupSize - 1) / groupSize, width = 24;
  const auto point = [&] {
    std::vector<double> result(width);
    for (double& x : result) x = normal(random);
    return result;
  };
  std::vector<int> order(static_cast<std::size_t>(heads));
  for (int i = 0; i < heads; ++i) order[static_cast<std::size_t>(i)] = i;
  std::shuffle(order.begin(), order.end(), random);
  const std::vector<double> common = point();
  std::vector<std::vector<double>> places(static_cast<std::size_t>(heads));
  record.groups.resize(static_cast<std::size_t>(groups));
  for (int group = 0; group < groups; ++group) {
    const std::vector<double> centre = point();
    const double spread = 0.25 + 0.6 * group / groups;
    for (int member = group * groupSize; member < std::min(heads, (group + 1) * groupSize); ++member) {
      const int head = order[static_cast<std::size_t>(member)];
      record.groups[static_cast<std::size_t>(group)].push_back(head);
      std::vector<double> place = point();
      for (std::size_t x = 0; x < place.size(); ++x) place[x] = 2.2 * common[x] + centre[x] + spread * place[x];
      places[static_cast<std::size_t>(head)] = place;
    }
  }
  record.matrix = {heads, heads, {}};
  const auto product = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t x = 0; x < a.size(); ++x) sum += a[x] * b[x];
    return sum;
  };
  for (const auto& a : places)
    for (const auto& b : places) {
      const double cosine = product(a, b) / std::sqrt(product(a, a) * product(b, b));
      record.matrix.values.push_back(static_cast<float>(0.6 + 0.4 * cosine * std::abs(cosine)));
    }
  for (int head = 0; head < heads; ++head)
    record.names.push_back(QStringLiteral("%1%2").arg(side == Side::key ? 'K' : 'V').arg(head));
  return record;
}

}  // namespace kvista
