// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method codedHeadMethod() {
  return {.name = "coded-head",
          .summary = "Every head alone, keys after RoPE: nothing is rebuilt when decoding",
          .source = "help page Methods, section 10",
          .grouping = "head",
          .keyPosition = KeyPosition::afterRope,
          .storage = Storage::coded,
          .widths = {0, 1, 2, 3, 4, 6, 8},
          .rankStep = 1,
          .exactTokens = 4};
}

}  // namespace kvista
