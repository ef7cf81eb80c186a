// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/measures/measures.h"
#include "core/compress/sampled_outputs.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>

namespace kvista {

Measure ckaRotatedMeasure() {
  return {.name = "cka-rotated",
          .summary = "Linear CKA of keys as attention sees them, after RoPE, from the sampled tokens",
          .formula = "as cka, with |C_ij|^2 = mean over pairs of different tokens s, t of (k_is . k_it)(k_js . k_jt)",
          .unit = "no unit, 0 to 1",
          .source = "Kornblith et al. (2019), section 3; without the pairs of a token with itself, which would make few tokens look alike",
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            const ModelShape& shape = request.decoder.shape();
            const bool keys = request.side == Side::key;
            const std::int64_t heads = shape.kvHeads, width = keys ? shape.headDim : shape.valueHeadDim;
            const at::Tensor rows = sampledOutputs(request.decoder, request.statistics, request.layer, KeyPosition::afterRope)
                                        .narrow(1, keys ? 0 : shape.keyWidth(), heads * width).to(at::kDouble).cpu();
            const at::Tensor second = at::matmul(rows.t(), rows).view({heads, width, heads, width}).square().sum({1, 3});
            const at::Tensor sizes = rows.view({rows.size(0), heads, width}).square().sum(2);
            return cosines((second - at::matmul(sizes.t(), sizes)).clamp_min(0)).clamp_max(1);
          }};
}

}  // namespace kvista
