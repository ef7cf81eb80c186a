// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method valuesMethod() {
  return {
      .name = "values",
      .summary = "Keys as they are, every value head in a low rank, for a checkpoint of an engine's own architecture",
      .source = "help page Methods, section 2",
      .grouping = "values",
      .measure = {},
      .allocator = "uniform"};
}

}  // namespace kvista
