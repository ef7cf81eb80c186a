// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method mlaMethod() {
  return {.name = "mla",
          .summary =
              "One key for all heads, and values in one latent, for a checkpoint with DeepSeek-V2's latent attention",
          .source = "help page Methods, section 11",
          .grouping = "common-key",
          .measure = {},
          .allocator = "uniform",
          .sharesHeads = true};
}

}  // namespace kvista
