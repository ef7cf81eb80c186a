// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/checkpoint/begun_export.h"
#include "core/compress/factors.h"
#include "core/io/checkpoint.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista {

struct ExportRequest {
  const Checkpoint& checkpoint;
  /// Of the same checkpoint: the plan's own forward, which the written files are compared with.
  const Decoder& decoder;
  const CompressionPlan& plan;
  const PlanFactors& factors;
  /// Goes into the report as it is: what was predicted, measured and requested, what was calibrated on.
  nlohmann::json extra = nlohmann::json::object();
};

struct ExportReport {
  std::string form;
  std::int64_t bytesPerToken = 0;  ///< Of the cache where this form runs.
  std::int64_t bytesPerTokenBefore = 0;
  std::vector<std::string> files;  ///< Names within the folder, the report's among them.
  std::vector<std::string> notes;  ///< What the form leaves out of the plan.
  bool verified = false;
  double largestLogitDifference = 0;  ///< Against the plan's own forward on fixed tokens.
};

/// What exportCheckpoint would do, from headers and the plan alone.
struct ExportForecast {
  std::int64_t tensorsChanged = 0;  ///< Computed by the form.
  std::int64_t tensorsCarried = 0;  ///< With the original's numbers.
  std::uint64_t bytesBefore = 0;    ///< Of the model's weight files.
  std::uint64_t bytesAfter = 0;     ///< Of the tensors that would be written.
  std::int64_t bytesPerToken = 0;   ///< As ExportReport's.
  std::uint64_t freeBytes = 0;      ///< Where the target lies.
  std::vector<std::string> notes;
  /// Sentences, the reason why it would be refused first; empty: it can be written.
  std::vector<std::string> problems;
};

struct ForecastRequest {
  const Checkpoint& checkpoint;
  const DecoderDescription& description;
  const CompressionPlan& plan;
  ExportPlace place;
};
/// Reads no weight and writes nothing. Errors: an unknown form, a target that cannot be looked at.
Result<ExportForecast> forecastExport(const ForecastRequest& request);

/// Refuses a GGUF file of a form or a model that it cannot hold, from headers alone: GGUF has no words for the form
/// `latent`, and not for every architecture and tokenizer. Other containers hold everything. Errors: invalidArgument,
/// unsupportedModel, with the reason.
Result<void> checkContainer(const ExportPlace& place, const Checkpoint& checkpoint);

/// Refuses a policy that the form does not record, or that its model code does not have. Errors: invalidArgument.
Result<void> checkRecordedPolicy(const ExportPlace& place, const CompressionPlan& plan,
                                 const DecoderDescription& description);

/// Writes the checkpoint beside its target, reads it back, compares it with the plan's own forward and renames it; on
/// any failure nothing is left. The same request twice gives the same bytes. Errors: invalidArgument (unknown form, a
/// plan that the form cannot hold, a target that is the source or would replace something else), io, numerical (what
/// was read back computes something else), cancelled.
Result<ExportReport> exportCheckpoint(const ExportRequest& request, const ExportPlace& place, const Task& task);

/// The same for an export that was begun before its plan was known, of the request's checkpoint.
Result<ExportReport> finishExport(BegunExport& begun, const ExportRequest& request, const Task& task);

}  // namespace kvista
