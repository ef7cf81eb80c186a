// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "core/compress/layouts.h"
#include "core/compress/measures/measures.h"

namespace kvista {
namespace {

/// Mean over the whitened coordinates, times the root of their number: with B = U sqrt(Lambda) (B B^T = C, one column a
/// coordinate) centring B over its columns takes the outer product of this vector away from C. The eigenvectors' signs,
/// which no decomposition settles, are chosen so that the largest component of each is positive.
at::Tensor coordinateMean(const at::Tensor& covariance) {
  const auto [values, vectors] = at::linalg_eigh(covariance);
  const at::Tensor largest = vectors.gather(0, vectors.abs().argmax(0, true));  // [1, n]
  const at::Tensor coordinates = vectors * at::where(largest < 0, -1.0, 1.0) * values.clamp_min(0).sqrt();
  return coordinates.sum(1) / std::sqrt(static_cast<double>(coordinates.size(1)));
}

}  // namespace

Measure ckaReleasedMeasure() {
  return {
      .name = "cka-released",
      .summary = "Linear CKA centred over whitened coordinates, as ReCalKV's code has it; for comparison with it alone",
      .formula =
          "as cka, with C - B 1 1^T B^T / n in place of C, B = U sqrt(Lambda) from C = U Lambda U^T, each column of U "
          "with its largest component positive",
      .unit = "no unit, 0 to 1",
      .source = "ReCalKV's released code",
      .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
        const ModelShape& shape = request.decoder.shape();
        at::Tensor second = outputMoments(request, false).second;
        const bool keys = request.side == Side::key;
        const std::int64_t begin = keys ? 0 : shape.keyWidth();
        const std::int64_t width = keys ? shape.keyWidth() : shape.valueWidth();
        at::Tensor own = second.narrow(0, begin, width).narrow(1, begin, width);
        KVISTA_CHECK(checkMoments(own));
        const at::Tensor mean = coordinateMean((own + own.t()) / 2);
        own -= at::outer(mean, mean);  // a view: the rest of the moments is not looked at
        return headSimilarity(second, shape, request.side);
      }};
}

}  // namespace kvista
