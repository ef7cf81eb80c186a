// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"
#include "core/text/tokenizer.h"

namespace kvista {

struct CalibrationRequest {
  TextRecipe recipe;  ///< `window` filled in.
  std::optional<std::uint32_t> bos;
  bool gradients = true;
  bool response = true;  ///< Measure the response curves on held-out windows (needs gradients).
  /// As StatisticsOptions::partialFile; `forgetPass` once the statistics are saved.
  std::filesystem::path partialFile;
};

/// The whole of calibration: reads the text, holds some windows out (those after the wanted ones where the text goes
/// on, else the last eighth at most), runs the statistics pass over the others and measures the response curves. The
/// members of a group of `processes` share all of that, and all get the statistics.
Result<Statistics> calibrate(const Decoder& decoder, const std::string& modelHash, const Tokenizer& tokenizer,
                             const CalibrationRequest& request, const Task& task, const ProcessGroup& processes = {});

}  // namespace kvista
