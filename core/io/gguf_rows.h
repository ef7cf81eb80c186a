// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Where rows of Hugging Face's matrices lie in GGUF files, for those who read them and those who write them.
#pragma once

#include <cstddef>
#include <functional>

namespace kvista {

/// Of a row as Hugging Face has it the row in the file.
using RowOrder = std::function<std::size_t(std::size_t)>;

/// llama.cpp rotates neighbouring rows (2j, 2j + 1) where Hugging Face rotates rows j and j + d/2 of a head, so its
/// files interleave the two halves of each head.
inline RowOrder halvesApart(std::size_t headRows) {
  return [headRows](std::size_t row) {
    const std::size_t within = row % headRows;
    return row - within + 2 * (within % (headRows / 2)) + within / (headRows / 2);
  };
}

/// From rows of each key head's queries, its key and its value to those of all queries, keys and values.
inline RowOrder groupsTogether(std::size_t heads, std::size_t kvHeads, std::size_t headRows) {
  const std::size_t queries = heads / kvHeads * headRows;
  return [=](std::size_t row) {
    const std::size_t group = row / (queries + 2 * headRows);
    const std::size_t within = row % (queries + 2 * headRows);
    if (within < queries) return group * queries + within;
    const std::size_t side = (within - queries) / headRows;  // 0: key, 1: value
    return heads * headRows + (side * kvHeads + group) * headRows + (within - queries) % headRows;
  };
}

}  // namespace kvista
