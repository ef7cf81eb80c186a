// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "core/base/error.h"
#include "core/compress/factors.h"

namespace kvista {

/// Offline value calibration (ReCalKV, Eq. 7 and 8, with the transpose its Eq. 7 lacks), one alternation for targets
/// y1, the outputs of the model as it is, and outputs y2 behind compressed layers: the `up` that best rebuilds y1 from
/// the latent of y2, then the `down` that is best for that `up`: up = C12 down^T (down C22 down^T)^-1, down = (up^T
/// up)^-1 up^T C12 C22^-1, C12 = mean of y1 y2^T, C22 = of y2 y2^T. `crossed`, `covariance`: C12 and C22, float64 [n,
/// n]. Where they are one, C12 C22^-1 is the identity and these are the paper's; where that is what `factors` were
/// decomposed from in the identity metric, they are its fixed point.
Result<GroupFactors> calibrateValues(const GroupFactors& factors, const at::Tensor& crossed,
                                     const at::Tensor& covariance);

}  // namespace kvista
