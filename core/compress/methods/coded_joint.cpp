// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method codedJointMethod() {
  return {.name = "coded-joint",
          .summary = "As coded, always one latent for all keys and values of a layer: least loss, most decoding work",
          .source = "help page Methods, section 10",
          .grouping = "joint",
          .storage = Storage::coded,
          .widths = {0, 1, 2, 3, 4, 6, 8},
          .rankStep = 1,
          .exactTokens = 4};
}

}  // namespace kvista
