// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method plainMethod() {
  return {.name = "plain",
          .summary = "Quantisation alone, for comparison: keys per channel in blocks of 64 tokens, values per token",
          .source = "KIVI (Liu et al., 2024), section 3",
          .grouping = "head",
          .metric = Metric::identity,
          .storage = Storage::plainQuantised,
          .widths = {0, 2, 3, 4, 8},
          .allocator = "uniform",
          .exactTokens = 4};
}

}  // namespace kvista
