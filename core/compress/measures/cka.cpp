// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/layouts.h"
#include "core/compress/measures/measures.h"

namespace kvista {

Measure ckaMeasure() {
  return {.name = "cka",
          .summary = "Linear CKA of the heads' activations, uncentred",
          .formula = "|C_ij|_F^2 / (|C_ii|_F |C_jj|_F), C the second moment of the cached outputs",
          .unit = "no unit, 0 to 1",
          .source = kCkaSource,
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            return headSimilarity(outputMoments(request, false).second, request.decoder.shape(), request.side);
          }};
}

}  // namespace kvista
