// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// The default: keys and values in one latent as widely as decoding affords, bits by reverse water-filling over all
/// layers.
Method codedMethod() {
  return {
      .name = "coded",
      .summary = "Keys and values in one latent as widely as decoding affords; 0 to 8 bits a direction; the default",
      .source = "help page Methods, sections 8 and 10",
      .grouping = "auto",
      .storage = Storage::coded,
      .widths = {0, 1, 2, 3, 4, 6, 8},
      .rankStep = 1,
      .exactTokens = 4};
}

}  // namespace kvista
