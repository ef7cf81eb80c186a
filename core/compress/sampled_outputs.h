// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "core/calibration/statistics.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista {

/// Outputs [keys | values] without bias of the tokens that a pass has sampled of one layer, float32 [rows, 2kv] on the
/// decoder's device; with `afterRope` the keys are those that attention sees, bias, norm and rotation included.
at::Tensor sampledOutputs(const Decoder& decoder, const Statistics& statistics, int layer, KeyPosition keyPosition);

}  // namespace kvista
