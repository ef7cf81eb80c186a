// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method jointMethod() {
  return {.name = "joint",
          .summary = "Low rank at 16 bits: one latent for all keys and values of a layer",
          .source = "help page Methods, section 2",
          .grouping = "joint"};
}

}  // namespace kvista
