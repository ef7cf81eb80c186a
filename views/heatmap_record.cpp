// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/heatmap_record.h"

#include <algorithm>
#include <cstring>

#include "views/theme.h"

namespace kvista {
namespace {

/// Bit by bit, so that two records whose unknown cells are the same are equal.
bool sameMatrix(const Matrix& a, const Matrix& b) {
  return a.rows == b.rows && a.columns == b.columns && a.values.size() == b.values.size() &&
         (a.values.empty() || std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)) == 0);
}

}  // namespace

bool HeatmapRecord::operator==(const HeatmapRecord& other) const {
  return layer == other.layer && side == other.side && symmetric == other.symmetric && difference == other.difference &&
         title == other.title && measure == other.measure && explanation == other.explanation && names == other.names &&
         groups == other.groups && sameMatrix(matrix, other.matrix);
}

QString HeatmapRecord::name(int head) const {
  const auto at = static_cast<std::size_t>(head);
  return at < names.size() ? names[at] : slotName({layer, side, head});
}

int HeatmapRecord::groupOf(int head) const {
  const auto found = std::find_if(groups.begin(), groups.end(), [head](const std::vector<int>& group) {
    return std::find(group.begin(), group.end(), head) != group.end();
  });
  return found == groups.end() ? -1 : static_cast<int>(found - groups.begin());
}

bool HeatmapRecord::canBeDrawn() const {
  const auto heads = static_cast<std::size_t>(std::max(matrix.rows, 0));
  return heads > 0 && matrix.rows == matrix.columns && matrix.values.size() == heads * heads;
}

}  // namespace kvista
