// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/heatmap_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvista {
namespace {

constexpr std::pair<HeatmapOrder, const char*> kIds[] = {{HeatmapOrder::index, "index"},
                                                         {HeatmapOrder::cluster, "cluster"},
                                                         {HeatmapOrder::group, "group"},
                                                         {HeatmapOrder::mean, "mean"},
                                                         {HeatmapOrder::custom, "custom"}};

std::vector<int> groupNumbers(const HeatmapRecord& record) {
  std::vector<int> result(static_cast<std::size_t>(record.heads()), -1);
  for (std::size_t group = 0; group < record.groups.size(); ++group)
    for (const int head : record.groups[group])
      if (head >= 0 && head < record.heads()) result[static_cast<std::size_t>(head)] = static_cast<int>(group);
  return result;
}

std::vector<double> meanSimilarities(const Matrix& matrix) {
  std::vector<double> means;
  for (int row = 0; row < matrix.rows; ++row) {
    double sum = 0;
    int known = 0;
    for (int column = 0; column < matrix.columns; ++column) {
      if (row == column || std::isnan(matrix.at(row, column))) continue;
      sum += matrix.at(row, column);
      ++known;
    }
    means.push_back(known ? sum / known : -HUGE_VAL);
  }
  return means;
}

}  // namespace

Arrangement arrange(const HeatmapRecord& record, HeatmapOrder order, const std::vector<int>& custom) {
  Arrangement result;
  if (!record.canBeDrawn()) return result;
  const auto heads = static_cast<std::size_t>(record.heads());
  const std::vector<int> group = groupNumbers(record);
  result.headAt.resize(heads);
  std::iota(result.headAt.begin(), result.headAt.end(), 0);
  result.tree.leaves = record.heads();
  const auto by = [](const auto& values) { return [&](int head) { return values[static_cast<std::size_t>(head)]; }; };
  switch (order) {
    case HeatmapOrder::index:
      break;
    case HeatmapOrder::cluster:
      result.tree = averageLinkage(record.matrix);
      result.headAt = leafOrder(result.tree);
      break;
    case HeatmapOrder::group:
      result.tree = averageLinkage(record.matrix, record.groups);
      result.headAt = leafOrder(result.tree);
      std::stable_sort(result.headAt.begin(), result.headAt.end(), [number = by(group)](int a, int b) {
        return static_cast<unsigned>(number(a)) < static_cast<unsigned>(number(b));  // -1, no group, is the largest.
      });
      break;
    case HeatmapOrder::mean: {
      const std::vector<double> means = meanSimilarities(record.matrix);
      std::stable_sort(result.headAt.begin(), result.headAt.end(),
                       [mean = by(means)](int a, int b) { return mean(a) > mean(b); });
      break;
    }
    case HeatmapOrder::custom: {
      std::vector<int> wanted(heads, record.heads());
      int place = 0;
      for (const int head : custom)
        if (head >= 0 && head < record.heads() && wanted[static_cast<std::size_t>(head)] == record.heads())
          wanted[static_cast<std::size_t>(head)] = place++;
      std::stable_sort(result.headAt.begin(), result.headAt.end(),
                       [at = by(wanted)](int a, int b) { return at(a) < at(b); });
      break;
    }
  }
  result.placeOf.resize(heads);
  for (std::size_t place = 0; place < heads; ++place) {
    const auto head = static_cast<std::size_t>(result.headAt[place]);
    result.placeOf[head] = static_cast<int>(place);
    if (group[head] < 0) continue;
    if (!result.runs.empty() && result.runs.back().group == group[head] &&
        result.runs.back().first + result.runs.back().count == static_cast<int>(place)) {
      ++result.runs.back().count;
    } else {
      result.runs.push_back({group[head], static_cast<int>(place), 1});
    }
  }
  return result;
}

QString orderId(HeatmapOrder order) {
  const auto* found =
      std::find_if(std::begin(kIds), std::end(kIds), [order](const auto& id) { return id.first == order; });
  return QLatin1String(found->second);
}

HeatmapOrder orderFromId(const QString& id) {
  const auto* found = std::find_if(std::begin(kIds), std::end(kIds),
                                   [&](const auto& each) { return id == QLatin1String(each.second); });
  return found == std::end(kIds) ? HeatmapOrder::index : found->first;
}

}  // namespace kvista
