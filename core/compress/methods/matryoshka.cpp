// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Bases whose first directions are those of every smaller rank, and ranks head by head over the whole model. They are orthogonal in the
/// loss's metric: with `--metric identity`, as published, energies of heads, and of keys and values, say little of what the loss feels.
Method matryoshkaMethod() {
  return {.name = "matryoshka",
          .summary = "MatryoshkaKV: every head in a basis that serves all ranks, keys after RoPE, ranks head by head",
          .source = "MatryoshkaKV (Lin et al., 2024), section 3",
          .grouping = "head",
          .measure = {},
          .keyPosition = KeyPosition::afterRope};
}

}  // namespace kvista
