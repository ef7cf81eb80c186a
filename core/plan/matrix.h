// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

namespace kvista {

/// Numbers to be shown: row-major, NaN where something is not known.
struct Matrix {
  int rows = 0;
  int columns = 0;
  std::vector<float> values;  ///< Size rows * columns.

  bool operator==(const Matrix&) const = default;
  [[nodiscard]] float at(int row, int column) const {
    return values[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(column)];
  }
  [[nodiscard]] bool isEmpty() const { return values.empty(); }
};

}  // namespace kvista
