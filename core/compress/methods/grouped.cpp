// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/methods/methods.h"

namespace kvista {

Method groupedMethod() {
  return {.name = "grouped",
          .summary = "Low rank at 16 bits: keys in groups of similar heads, values in one latent",
          .source = "methods.md sections 2 and 4",
          .grouping = "swap"};
}

}  // namespace kvista
