// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/model/decoder.h"

namespace kvista {

struct StatisticsOptions {
  bool gradients = true;
  std::int64_t tokensPerBatch = 2048;  ///< Windows go through the model (or a streamed layer) together up to this many tokens.
  std::filesystem::path partialFile;   ///< Where sums are kept every 20 s while the pass runs; empty: nowhere.
};

/// One pass over `windows`: everything the methods need (methods.md section 1). Sums of a pass that was cut off are taken
/// up again from `partialFile` if it is of the same model, tokens and options; it is removed at the end.
/// `recipe` and `response` of the answer are for the caller to fill in.
Result<Statistics> runStatisticsPass(const Decoder& decoder, const std::string& modelHash, const TokenWindows& windows,
                                     const StatisticsOptions& options, const Task& task);

}  // namespace kvista
