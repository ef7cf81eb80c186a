// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/measures/sampled_pairs.h"

namespace kvista {

Measure ckaRotatedMeasure() {
  return {.name = "cka-rotated",
          .summary = "Linear CKA of keys as attention sees them, after RoPE, from the sampled tokens",
          .formula = "as cka, with |C_ij|^2 = mean over pairs of different tokens s, t of (k_is . k_it)(k_js . k_jt)",
          .unit = "no unit, 0 to 1",
          .source =
              "Kornblith et al. (2019), section 3; without the pairs of a token with itself, which would make few "
              "tokens look alike",
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            return alikeOverPairs(sampledHeads(request));
          }};
}

}  // namespace kvista
