// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista {

/// What it costs to truncate the keys or the values of one layer alone.
struct TruncationLoss {
  int layer = 0;
  Side side = Side::key;
  double kept = 1;  ///< Part of the directions: the largest of the second moment of all heads together, before RoPE.
  double loss = 0;  ///< Rise of the mean loss, nats a predicted token.
};

/// Runs the model once for every layer, side and kept part (KV-CoRE's protocol, methods.md section 7), over the first
/// `windows` of the tokens that the statistics held out, or were made from where nothing was held out.
Result<std::vector<TruncationLoss>> measureTruncation(const Decoder& decoder, const Statistics& statistics,
                                                      const std::vector<int>& layers, const std::vector<double>& kept,
                                                      std::int64_t windows, const Task& task);

}  // namespace kvista
