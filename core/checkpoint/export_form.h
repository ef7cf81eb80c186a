// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/compress/factors.h"
#include "core/io/checkpoint.h"
#include "core/io/safetensors_writer.h"
#include "core/model/description.h"
#include "core/plan/plan.h"
#include "core/policy/policy.h"

namespace kvista {

/// What a form makes its files from.
struct ExportSource {
  const Checkpoint& checkpoint;
  const DecoderDescription& description;
  const CompressionPlan& plan;
  const PlanFactors& factors;
  /// f32, bf16 or f16: how computed tensors are written; absent: f32. Tensors that a file holds as f32, bf16 or f16 are
  /// carried over as they are; quantised ones count as computed.
  std::optional<DataType> dtype;
  at::Device device = at::kCPU;           ///< Where products of weights and factors are computed.
  const PolicyRequest* policy = nullptr;  ///< Of forms that record one.
};

/// A checkpoint to be written.
struct ExportContent {
  nlohmann::json config;
  /// Beside what is carried over, in the order of the shards. They keep what they need of the source alive.
  std::vector<TensorToWrite> tensors;
  std::map<std::string, std::string> files;  ///< Further files: name and content.
  std::vector<std::string> notes;            ///< What the form leaves out of the plan, in sentences.
  std::int64_t cacheBytesPerToken = 0;       ///< What a token costs, over all layers, where this form runs.
  /// What the form computes, which is the plan itself or the plan without what the notes name.
  CompressionPlan plan;
  PlanFactors factors;
};

/// A kind of checkpoint that a plan can become. A new one is a file in forms/ and a line in forms/forms.cpp.
struct ExportForm {
  std::string_view name;
  std::string_view summary;      ///< One line for `kvista list forms`.
  std::string_view runsIn;       ///< What runs it, in words.
  std::string_view howToLoad;    ///< For the model card, in Markdown.
  bool recordsPolicies = false;  ///< Its model code keeps the cache small with a policy.
  bool isStock = false;  ///< What it writes is an architecture that others know, so that a GGUF file may hold it.
  /// Why this form cannot hold this plan or this model (invalidArgument; the hint names the nearest form), before
  /// anything is written. Of a plan that is not laid out yet (isDraft) only what its method decides is looked at.
  Result<void> (*check)(const CompressionPlan& plan, const DecoderDescription& description,
                        const Checkpoint& checkpoint) = nullptr;
  /// The tensors that it carries over whatever the plan; `dtype` as in ExportSource. No weight is read before they are
  /// written. Errors: corruptFile (the checkpoint lacks what the description has views of).
  Result<std::vector<TensorToWrite>> (*carried)(const Checkpoint& checkpoint, const DecoderDescription& description,
                                                DataType dtype) = nullptr;
  /// Everything else, only for plans that pass `check`. No weight is read before the tensors are written.
  Result<ExportContent> (*make)(const ExportSource& source) = nullptr;
};

const std::vector<ExportForm>& exportForms();
Result<const ExportForm*> findExportForm(std::string_view name);

}  // namespace kvista
