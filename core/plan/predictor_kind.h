// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "core/plan/plan_names.h"

namespace kvista {

/// What foretells how important a token will be and is trained once for a model; the policy of the same name reads it.
enum class PredictorKind {
  fastKvzip,           ///< A gate on what the cache holds (Kim et al. 2026, "Fast KVzip").
  attentionPredictor,  ///< A network on what the last queries looked at (Yang et al. 2025, "AttentionPredictor").
};
inline constexpr std::array kPredictorKinds = {Named{"fast-kvzip", PredictorKind::fastKvzip},
                                               Named{"attention-predictor", PredictorKind::attentionPredictor}};

}  // namespace kvista
