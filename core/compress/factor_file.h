// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/compress/factors.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"
#include "core/plan/shape.h"

namespace kvista {

/// Keeps factors that no statistics give back, such as refined ones: one safetensors file that names the plan (by its
/// fingerprint) and the model (by its content hash) they belong to.
Result<void> saveFactors(const std::filesystem::path& file, const CompressionPlan& plan, const PlanFactors& factors,
                         const std::string& modelHash, const Task& task);

/// The factors that a plan is computed with: those kept in `file`, or, where it is empty, made from the statistics (see
/// makeFactors). Errors: as the two functions answer.
Result<PlanFactors> factorsOfPlan(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan,
                                  const std::filesystem::path& file, const std::string& modelHash, const Task& task,
                                  const ProcessGroup& processes = {});

/// Errors: invalidArgument for factors of another plan or model; corruptFile for a damaged file, with the tensor's
/// name.
Result<PlanFactors> loadFactors(const std::filesystem::path& file, const CompressionPlan& plan, const ModelShape& shape,
                                const std::string& modelHash);

}  // namespace kvista
