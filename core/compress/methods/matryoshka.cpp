// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Bases whose first directions are those of every smaller rank, and ranks head by head over the whole model. They are orthogonal in the
/// loss's metric, as published with `--metric identity`. One threshold on losses (`waterline`) cuts some heads of keys after RoPE so far that second
/// order says nothing any more: on austen-mha-30m at half the cache it lost four times what equal parts of each head's energy lose.
Method matryoshkaMethod() {
  return {.name = "matryoshka",
          .summary = "MatryoshkaKV: every head in a basis that serves all ranks, keys after RoPE, ranks head by head",
          .source = "MatryoshkaKV (Lin et al., 2024), section 3",
          .grouping = "head",
          .measure = {},
          .keyPosition = KeyPosition::afterRope,
          .allocator = "energy",
          .rankStep = 2};
}

}  // namespace kvista
