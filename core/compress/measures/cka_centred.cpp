// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/outer.h>

#include "core/compress/layouts.h"
#include "core/compress/measures/measures.h"

namespace kvista {

Measure ckaCentredMeasure() {
  return {.name = "cka-centred",
          .summary = "Linear CKA of the heads' activations, centred over tokens",
          .formula = "as cka, with C the covariance: second moment less the outer product of the mean",
          .unit = "no unit, 0 to 1",
          .source = kCkaSource,
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            const OutputMoments moments = outputMoments(request, false);
            return headSimilarity(moments.second - at::outer(moments.mean, moments.mean), request.decoder.shape(),
                                  request.side);
          }};
}

}  // namespace kvista
