// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Orthogonal bases whose first directions are those of every smaller rank. Before they are trained they are K-SVD's;
/// ranks head by head by any allocator (`energy`: each head loses the same part of its energy), equal ones where
/// nothing else is asked for, since they train best.
Method matryoshkaMethod() {
  return {.name = "matryoshka",
          .summary = "MatryoshkaKV: every head in a basis that serves all ranks, keys after RoPE, to be trained",
          .source = "MatryoshkaKV (Lin et al., 2024), section 3",
          .grouping = "head",
          .measure = {},
          .metric = Metric::identity,
          .keyPosition = KeyPosition::afterRope,
          .allocator = "uniform",
          .rankStep = 2};
}

}  // namespace kvista
