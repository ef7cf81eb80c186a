// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/compress/measures/measures.h"
#include "core/compress/planner.h"
#include "core/model/decoder.h"
#include "core/protocol/lab_records.h"

namespace kvista {

/// What the window, the verbs and the report show of a model and a plan: one computation for all three.

/// Key, then value of each layer. Progress in layers.
Result<std::vector<SimilarityRecord>> similaritiesOf(const Decoder& decoder, const Statistics& statistics,
                                                     const Measure& measure, const std::vector<int>& layers,
                                                     const Task& task);

/// Of the second moment a token of all heads of a side before RoPE; key, then value of each layer. Progress in layers.
Result<std::vector<LayerSpectrumRecord>> layerSpectraOf(const Decoder& decoder, const Statistics& statistics,
                                                        const std::vector<int>& layers, const Task& task);

/// As KV-CoRE has them: of second moments as they are, before RoPE. `kept`: what truncation keeps of the directions,
/// measured on so many windows (measureTruncation); 0: it is not measured. Progress in layers, then in measurements.
Result<TextRanksRecord> textRanksOf(const Decoder& decoder, const Statistics& statistics, double kept,
                                    std::int64_t windows, const Task& task);

/// errorsAtMoments and measureErrors together; plain quantisation, which has no basis, has measured errors only.
/// `transform` computes as `plan` says. Progress in layers.
Result<PlanErrorsRecord> planErrorsOf(const Decoder& decoder, const Statistics& statistics, const CompressionPlan& plan,
                                      const CacheTransform& transform, const Task& task);

/// The wish as the planner takes it.
PlanRequest requestOf(const PlanWish& wish);

/// Every layer of a model.
std::vector<int> allLayers(const ModelShape& shape);

}  // namespace kvista
