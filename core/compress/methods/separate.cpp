// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method separateMethod() {
  return {.name = "separate",
          .summary = "Low rank at 16 bits: one latent for all keys of a layer, one for all values",
          .source = "help page Methods, section 2",
          .grouping = "separate"};
}

}  // namespace kvista
