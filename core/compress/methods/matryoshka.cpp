// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Orthogonal bases, so that the first directions of a wide one are the narrow one, and ranks head by head over the whole model.
Method matryoshkaMethod() {
  return {.name = "matryoshka",
          .summary = "MatryoshkaKV: every head in an orthogonal basis, keys after RoPE, nested ranks head by head",
          .source = "MatryoshkaKV (Lin et al., 2024), section 3",
          .grouping = "head",
          .measure = {},
          .metric = Metric::identity,
          .keyPosition = KeyPosition::afterRope};
}

}  // namespace kvista
