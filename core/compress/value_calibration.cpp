// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/value_calibration.h"

#include <ATen/ops/linalg_pinv.h>
#include <ATen/ops/matmul.h>

namespace kvista {

Result<GroupFactors> calibrateValues(const GroupFactors& factors, const at::Tensor& covariance) {
  const at::Tensor down = factors.down.to(at::kDouble);
  const at::Tensor crossed = at::matmul(covariance, down.t());
  const at::Tensor up = at::matmul(crossed, at::linalg_pinv(at::matmul(down, crossed), /*rcond=*/1e-12, /*hermitian=*/true));
  if (!up.isfinite().all().item<bool>())
    return fail(ErrorCode::numerical, "Offline value calibration met a singular second moment.",
                "Calibrate on more tokens than the values have numbers.");
  GroupFactors calibrated = factors;
  calibrated.up = up.to(at::kFloat);
  calibrated.down = at::linalg_pinv(up, 1e-12, false).to(at::kFloat);
  return calibrated;
}

}  // namespace kvista
