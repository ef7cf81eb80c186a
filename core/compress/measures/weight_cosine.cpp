// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>

#include "core/compress/measures/measures.h"

namespace kvista {

Measure weightCosineMeasure() {
  return {.name = "weight-cosine",
          .summary = "Cosine of the heads' projection weights, up to sign; knows no text",
          .formula = "|<W_i, W_j>_F| / (|W_i|_F |W_j|_F)",
          .unit = "no unit, 0 to 1",
          .source = "help page Methods, section 3; of layers: KVSharer (2024)",
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            const Decoder& decoder = request.decoder;
            const at::Tensor weight =
                request.side == Side::key ? decoder.keyWeight(request.layer) : decoder.valueWeight(request.layer);
            const at::Tensor heads = weight.cpu().to(at::kDouble).reshape({decoder.shape().kvHeads, -1});
            return cosines(at::matmul(heads, heads.t()).abs());
          }};
}

}  // namespace kvista
