// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/value_calibration.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_pinv.h>
#include <ATen/ops/matmul.h>

namespace kvista {
namespace {

constexpr double kNoise = 1e-6;  // of the largest eigenvalue

}  // namespace

Result<GroupFactors> calibrateValues(const GroupFactors& factors, const at::Tensor& crossed,
                                     const at::Tensor& covariance) {
  const at::Tensor down = factors.down.to(covariance.device(), at::kDouble);
  const at::Tensor latents = at::matmul(at::matmul(down, covariance), down.t());
  const at::Tensor inverse = at::linalg_pinv((latents + latents.t()) / 2, /*rcond=*/1e-12, /*hermitian=*/true);
  const at::Tensor up = at::matmul(at::matmul(crossed, down.t()), inverse);
  if (!up.isfinite().all().item<bool>())
    return fail(ErrorCode::numerical, "Offline value calibration met a singular second moment.",
                "Calibrate on more tokens than the values have numbers.");
  GroupFactors calibrated = factors;
  calibrated.up = up.to(at::kFloat).cpu();
  // What of C22 is below the float32 rounding of its sums says nothing about y1.
  const at::Tensor regression = at::matmul(crossed, at::linalg_pinv(covariance, kNoise, true));
  calibrated.down = at::matmul(at::linalg_pinv(up, 1e-12, false), regression).to(at::kFloat).cpu();
  return calibrated;
}

}  // namespace kvista
