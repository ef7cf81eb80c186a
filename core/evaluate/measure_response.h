// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"

namespace kvista {

/// Measures three plans of each way of storing on text held out from calibration and puts the response curves and the
/// uncompressed model's loss there into `statistics`. `heldOut`: int64 [windows, window]. The members of a group of
/// `processes` share the work, and all get the curves.
Result<void> measureResponse(const Decoder& decoder, Statistics& statistics, const at::Tensor& heldOut,
                             const Task& task, const ProcessGroup& processes = {});

}  // namespace kvista
