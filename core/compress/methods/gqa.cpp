// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method gqaMethod() {
  return {
      .name = "gqa",
      .summary = "Fewer key-value heads: similar heads become one each, for a checkpoint of the original architecture",
      .source = "help page Methods, section 11",
      .grouping = "paired",
      .groupSize = 0,
      .allocator = "uniform",
      .sharesHeads = true};
}

}  // namespace kvista
