// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "core/base/error.h"
#include "core/compress/factors.h"

namespace kvista {

/// Offline value calibration (ReCalKV, Eq. 7 and 8, with the transpose its Eq. 7 lacks), one alternation: the `up` that
/// best rebuilds outputs of second moment C from the latent, then the `down` that best inverts it:
/// up = C down^T (down C down^T)^-1, down = (up^T up)^-1 up^T.
/// `covariance`: float64 [n, n]. Where C is what `factors` were decomposed from, this is already the fixed point.
Result<GroupFactors> calibrateValues(const GroupFactors& factors, const at::Tensor& covariance);

}  // namespace kvista
