// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

Method codedChainMethod() {
  return {.name = "coded-chain",
          .summary =
              "As coded-joint, each layer coded through a trellis as what the decoded layer before it does not "
              "predict: least loss of all",
          .source = "help page Methods, section 10",
          .grouping = "joint",
          .storage = Storage::coded,
          .widths = {0, 1, 2, 3, 4, 6, 8},
          .rankStep = 1,
          .exactTokens = 4,
          .chain = kMaxChain,
          .trellis = true,
          .tokenNumbers = true};
}

}  // namespace kvista
