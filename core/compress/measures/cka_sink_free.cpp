// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/layouts.h"
#include "core/compress/measures/measures.h"

namespace kvista {

Measure ckaSinkFreeMeasure() {
  return {.name = "cka-sink-free",
          .summary = "Linear CKA of the heads' activations without the first 4 tokens of each window",
          .formula = "as cka, with C summed over tokens beyond the attention sinks",
          .unit = "no unit, 0 to 1",
          .source = kCkaSource,
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            return headSimilarity(outputMoments(request, true).second, request.decoder.shape(), request.side);
          }};
}

}  // namespace kvista
