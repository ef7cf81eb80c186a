// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/measures/measures.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/block_diag.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

namespace kvista {
namespace {

constexpr std::int64_t kPart = 4;  // Directions of a head that are looked at: a quarter, the largest.

}  // namespace

Measure subspaceMeasure() {
  return {.name = "subspace",
          .summary = "Overlap of the heads' strongest directions over tokens: mean squared cosine of principal angles",
          .formula = "|U_i^T U_j|_F^2 / r, U_i the r = d/4 first left singular vectors of head i's outputs over tokens",
          .unit = "no unit, 0 to 1",
          .source = "help page Methods, section 3; Bjorck and Golub, Numerical methods for computing angles between subspaces (1973)",
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            const ModelShape& shape = request.decoder.shape();
            const bool keys = request.side == Side::key;
            const std::int64_t heads = shape.kvHeads, width = keys ? shape.headDim : shape.valueHeadDim;
            const std::int64_t begin = keys ? 0 : shape.keyWidth(), rank = std::max<std::int64_t>(1, width / kPart);
            const at::Tensor second = outputMoments(request, false).second.narrow(0, begin, heads * width).narrow(1, begin, heads * width);
            if (!second.isfinite().all().item<bool>())
              return fail(ErrorCode::numerical, "The second moments of a layer are not finite.",
                          "Look for damaged weights with `kvista inspect --weights`, or calibrate in float32.");
            // U_i = Y_i V_i / s_i, so that U_i^T U_j needs blocks of the second moment alone.
            std::vector<at::Tensor> directions;
            for (std::int64_t head = 0; head < heads; ++head) {
              const at::Tensor own = second.narrow(0, head * width, width).narrow(1, head * width, width);
              const auto [values, vectors] = at::linalg_eigh((own + own.t()) / 2);
              const at::Tensor largest = values.narrow(0, width - rank, rank);
              constexpr double kRounding = 1e-12;
              const at::Tensor known = largest > values[width - 1].clamp_min(0) * kRounding;
              directions.push_back(vectors.narrow(1, width - rank, rank) * at::where(known, largest.abs().rsqrt(), at::zeros_like(largest)));
            }
            const at::Tensor all = at::block_diag(directions);
            const at::Tensor overlap = at::matmul(at::matmul(all.t(), second), all).view({heads, rank, heads, rank}).square().sum({1, 3});
            return cosines(overlap);
          }};
}

}  // namespace kvista
