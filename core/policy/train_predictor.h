// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/decoder.h"
#include "core/plan/predictor_kind.h"
#include "core/policy/attention_predictor.h"

namespace kvista {

/// Of fast-kvzip's gate, as a part of the mean of its features' second moments.
inline constexpr double kUsualRidge = 1e-4;

struct TrainedPredictor {
  std::int64_t windows = 0, heldOutWindows = 0;
  double correlation = 0;  ///< Of what it says and what is true, over the tokens of the windows held out.
  std::optional<AttentionRecall> recall;  ///< Of an attention predictor, likewise.
};

/// Trains a predictor on the windows of `ids`, int64 [windows, window], all but the last eighth of them (one to four),
/// which it is asked about afterwards, and writes it. `ridge`: as fitGate, which alone has one. Errors: invalidArgument
/// for a single window, io.
Result<TrainedPredictor> trainPredictor(PredictorKind kind, const Decoder& decoder, const at::Tensor& ids, double ridge,
                                        const std::filesystem::path& file, const std::string& modelHash,
                                        const Task& task);

}  // namespace kvista
