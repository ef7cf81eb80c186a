// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <vector>

#include "core/plan/dendrogram.h"
#include "views/heatmap_record.h"

namespace kvista {

/// Which head stands where in rows and columns.
struct Arrangement {
  std::vector<int> headAt;   ///< By place.
  std::vector<int> placeOf;  ///< By head.
  Dendrogram tree;           ///< Leaves are heads; no merges where the order comes from none. No lines cross.
  /// Neighbouring places of one group, with the group's number from 0.
  struct Run {
    int group, first, count;
    bool operator==(const Run&) const = default;
  };
  std::vector<Run> runs;
  bool operator==(const Arrangement&) const = default;
};

/// cluster: average linkage. group: group after group, average linkage within each; heads of no group last. mean: by
/// falling mean similarity with the other heads. custom: as `custom` says; heads that it leaves out come last.
Arrangement arrange(const HeatmapRecord& record, HeatmapOrder order, const std::vector<int>& custom = {});

/// "index", "cluster", ...: what a segmented control calls an order, and back.
QString orderId(HeatmapOrder order);
HeatmapOrder orderFromId(const QString& id);

}  // namespace kvista
