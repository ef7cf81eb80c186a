// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include <algorithm>

#include "core/compress/measures/sampled_pairs.h"

namespace kvista {
namespace {

constexpr double kEnergy = 0.99;  // Of a head's variance that its directions hold.

/// Whitened directions of one head, [width, r]: V_r diag(lambda_r)^-1/2.
at::Tensor whitenedDirections(const at::Tensor& covariance) {
  const auto [values, vectors] = at::linalg_eigh((covariance + covariance.t()) / 2);
  const at::Tensor falling = values.flip(0).clamp_min(0).contiguous();
  const double* numbers = falling.const_data_ptr<double>();
  const double whole = falling.sum().item<double>();
  double held = 0;
  std::int64_t rank = 0;
  while (rank < falling.size(0) && held < kEnergy * whole) held += numbers[rank++];
  return vectors.flip(1).narrow(1, 0, rank) * falling.narrow(0, 0, rank).rsqrt();
}

}  // namespace

Measure svccaMeasure() {
  return {
      .name = "svcca",
      .summary = "Mean canonical correlation of the heads' directions that hold 99 % of their variance",
      .formula = "mean of the singular values of A_i^T C_ij A_j, A_i = V_r diag(lambda_r)^-1/2 of the covariance C_ii",
      .unit = "no unit, 0 to 1",
      .source = "Raghu et al., SVCCA (2017), section 2",
      .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
        KVISTA_ASSIGN(const at::Tensor covariance, sideMoments(request, true));
        const std::int64_t heads = request.decoder.shape().kvHeads, width = covariance.size(0) / heads;
        const auto block = [&](std::int64_t i, std::int64_t j) {
          return covariance.narrow(0, i * width, width).narrow(1, j * width, width);
        };
        std::vector<at::Tensor> directions;
        for (std::int64_t head = 0; head < heads; ++head) directions.push_back(whitenedDirections(block(head, head)));
        at::Tensor similarity = at::ones({heads, heads}, at::kDouble);
        for (std::int64_t i = 0; i < heads; ++i) {
          for (std::int64_t j = 0; j < i; ++j) {
            const at::Tensor& a = directions[static_cast<std::size_t>(i)];
            const at::Tensor& b = directions[static_cast<std::size_t>(j)];
            if (a.size(1) == 0 || b.size(1) == 0) {
              similarity[i][j] = similarity[j][i] = 0;  // a head of zeros is like nothing
              continue;
            }
            const at::Tensor mean =
                at::linalg_svdvals(at::matmul(at::matmul(a.t(), block(i, j)), b)).clamp_max(1).mean();
            similarity[i][j].copy_(mean);
            similarity[j][i].copy_(mean);
          }
        }
        return similarity;
      }};
}

Measure svccaRotatedMeasure() {
  return {.name = "svcca-rotated",
          .summary =
              "Canonical correlation, root of the mean square, of keys as attention sees them, after RoPE, from the "
              "sampled tokens",
          .formula =
              "root of cka-rotated with A_i^T (k_it - mean) in place of k_it, A_i as in svcca, of the covariance of "
              "all tokens",
          .unit = "no unit, 0 to 1",
          .source = "Raghu et al., SVCCA (2017), section 2; mean square: Kornblith et al. (2019), section 4",
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            KVISTA_ASSIGN(const std::vector<at::Tensor> covariances, ownMoments(request, true));
            std::vector<at::Tensor> rows = sampledHeads(request);
            for (std::size_t head = 0; head < rows.size(); ++head)
              rows[head] = at::matmul(rows[head] - rows[head].mean(0), whitenedDirections(covariances[head]));
            return alikeOverPairs(rows).sqrt();
          }};
}

}  // namespace kvista
