// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/checkpoint/export_form.h"
#include "core/model/decoder.h"

namespace kvista {

/// Logits of `decoder` under a plan (null: as it is) on two windows of fixed tokens, float32 on the CPU.
Result<at::Tensor> logitsOnFixedTokens(const Decoder& decoder, const CompressionPlan* plan, const PlanFactors& factors,
                                       const Task& task);

/// How far what was written computes from what was planned.
struct LogitComparison {
  int tokens = 0;
  double largestDifference = 0;
  double meanSquareDifference = 0;  ///< Root of it.
  double tolerance = 0;
  std::string measure;  ///< Which of the two the tolerance is for: "largest" or "root mean square".
  [[nodiscard]] bool isWithin() const;
};

/// Opens the folder again and compares it with `expected`, the plan's own logits. In float32 without codes no logit may
/// differ by more than 1e-3. With codes their root mean square may not: where arithmetic of another order meets the
/// edge of a code, single numbers jump by a step. With 16-bit factors or arithmetic it is 5 % of the logits' spread.
/// Errors: numerical when it is more; what opening answers.
Result<LogitComparison> compareWritten(const std::filesystem::path& folder, const ExportContent& content,
                                       const at::Tensor& expected, bool has16BitFactors, const ComputeOptions& options,
                                       const Task& task);

/// What `kvista verify` finds.
struct Verification {
  std::string form;
  int files = 0;
  std::vector<std::string> problems;  ///< Sentences; empty: everything is as it was written.
};

/// Checks an exported folder against its report: every file's size and hash, tensors finite, and a forward pass that
/// gives finite logits. Problems of the content are listed, not errors; errors are a missing or unreadable report,
/// cancelled.
Result<Verification> verifyExport(const std::filesystem::path& folder, const ComputeOptions& options, const Task& task);

}  // namespace kvista
