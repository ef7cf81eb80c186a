// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <vector>

#include "core/plan/matrix.h"
#include "core/plan/plan.h"

namespace kvista {

/// How alike the heads of one side of one layer are, and all that is said beside it.
struct HeatmapRecord {
  Matrix matrix;               ///< [heads, heads]; NaN where something is not known.
  std::vector<QString> names;  ///< One a head: "K3". Missing ones are called by side and number.
  QString title;               ///< "Layer 3 · keys"
  QString measure;             ///< "linear CKA"
  QString explanation;         ///< Formula, unit and source of the measure.
  int layer = 0;
  Side side = Side::key;
  std::vector<std::vector<int>> groups;  ///< Heads of each group: white borders.
  bool symmetric = true;
  bool difference = false;  ///< Of two measures: drawn about zero.

  bool operator==(const HeatmapRecord& other) const;

  [[nodiscard]] int heads() const { return matrix.rows; }
  [[nodiscard]] QString name(int head) const;
  /// The number of a head's group counted from 0, or -1.
  [[nodiscard]] int groupOf(int head) const;
  /// False for an empty matrix or one that is not square: nothing can be drawn.
  [[nodiscard]] bool canBeDrawn() const;
};

enum class HeatmapOrder { index, cluster, group, mean, custom };

}  // namespace kvista
