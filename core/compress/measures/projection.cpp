// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/sqrt.h>

#include "core/compress/measures/measures.h"

namespace kvista {

Measure projectionMeasure() {
  return {.name = "projection",
          .summary =
              "Which part of the hidden state heads read, from the weights alone: 1 less the projection distance of "
              "their row spaces",
          .formula = "1 - |P_i - P_j|_F / sqrt(2 d), P_i the orthogonal projector onto the rows of W_i",
          .unit = "no unit, 0 to 1",
          .source =
              "Edelman, Arias and Smith, The geometry of algorithms with orthogonality constraints (1998), section 4.3",
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            const ModelShape& shape = request.decoder.shape();
            const bool keys = request.side == Side::key;
            const at::Tensor weight =
                (keys ? request.decoder.keyWeight(request.layer) : request.decoder.valueWeight(request.layer))
                    .cpu()
                    .to(at::kDouble);
            const std::int64_t heads = shape.kvHeads, width = weight.size(0) / heads;
            if (!weight.isfinite().all().item<bool>())
              return fail(ErrorCode::numerical, "Weights of a layer are not finite.",
                          "Look for damaged weights with `kvista inspect --weights`.");
            // Bases of the row spaces, [heads, hiddenSize, d].
            const at::Tensor rows = std::get<0>(at::linalg_qr(weight.view({heads, width, -1}).transpose(1, 2)));
            const at::Tensor all = rows.permute({1, 0, 2}).flatten(1, 2);
            const std::int64_t rank = rows.size(2);
            const at::Tensor overlap = at::matmul(all.t(), all).view({heads, rank, heads, rank}).square().sum({1, 3}) /
                                       static_cast<double>(rank);
            at::Tensor similarity = 1 - at::sqrt((1 - overlap).clamp(0, 1));
            similarity.fill_diagonal_(1);
            return similarity;
          }};
}

}  // namespace kvista
