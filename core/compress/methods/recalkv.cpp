// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/method.h"

namespace kvista {

/// Parity mode (methods.md section 9): the published method, without the released code's errors. `--grouping` and
/// `--metric` change it as any method; then it is no longer what was published.
Method recalkvMethod() {
  return {
      .name = "recalkv",
      .summary = "ReCalKV: keys in groups of 4 by CKA (HSR), values calibrated offline (OVC), ranks by Fisher score",
      .source = "ReCalKV (Yan et al., 2025), sections 3.2 and 3.3",
      .grouping = "greedy",
      .measure = "cka-released",
      .metric = Metric::identity,
      .allocator = "fisher_uniform",
      .rankStep = 32,
      .sequential = true};
}

}  // namespace kvista
