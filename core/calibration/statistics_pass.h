// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"

namespace kvista {

struct StatisticsOptions {
  bool gradients = true;
  /// Windows go through the model (or a streamed layer) together up to this many tokens.
  std::int64_t tokensPerBatch = 2048;
  /// Where sums are kept every 20 s (large ones less often) while the pass runs; empty: nowhere. Members of a group add
  /// their rank to the name.
  std::filesystem::path partialFile;
};

/// One pass over `windows`: everything the methods need (methods.md section 1). Sums of a pass that was cut off are
/// taken up again from `partialFile` if it is of the same model, tokens and options. It holds the whole pass at the
/// end, for whatever comes before the statistics are saved may be cut off too; `forgetPass` then removes it. Members of
/// a group of `processes` are given the same windows, and each goes through some of them, in the batches that one
/// process would make; all get the sums of all, which are those of one process but for the order of additions in
/// float64. Where a member is gone the others keep their sums in `partialFile`, and as many processes go on from there.
/// `recipe` and `response` of the answer are for the caller to fill in.
Result<Statistics> runStatisticsPass(const Decoder& decoder, const std::string& modelHash, const TokenWindows& windows,
                                     const StatisticsOptions& options, const Task& task,
                                     const ProcessGroup& processes = {});

/// Removes the sums of a pass whose statistics are saved. Members of a group wait until the first, which saves, is here
/// too.
Result<void> forgetPass(const std::filesystem::path& partialFile, const Task& task, const ProcessGroup& processes = {});

}  // namespace kvista
