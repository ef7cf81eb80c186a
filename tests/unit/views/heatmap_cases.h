// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "views/heatmap_record.h"

namespace kvista::test {

/// Heads 0 and 2 are alike (0.9), so are 1 and 3 (0.8); the others 0.1 + (row + column)/100. The diagonal is far above
/// all, so that whoever counts it in is found out.
inline HeatmapRecord fourHeads() {
  HeatmapRecord record;
  record.matrix = {4, 4, {}};
  for (int row = 0; row < 4; ++row)
    for (int column = 0; column < 4; ++column)
      record.matrix.values.push_back(row == column           ? 5.0F
                                     : row % 2 != column % 2 ? 0.1F + static_cast<float>(row + column) / 100
                                     : row % 2 == 0          ? 0.9F
                                                             : 0.8F);
  record.layer = 3;
  record.title = QStringLiteral("Layer 3 · keys");
  record.measure = QStringLiteral("linear CKA");
  record.groups = {{1, 3}, {0, 2}};
  return record;
}

}  // namespace kvista::test
