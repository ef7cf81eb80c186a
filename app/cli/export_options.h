// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "core/checkpoint/export_checkpoint.h"

namespace kvista {

struct ExportSettings {
  std::string target;
  std::string form = "latent";
  std::string container = "safetensors";
  std::string dtype = "float32";
  std::string weightDtype;  // empty: as in the checkpoint
  std::uint64_t shardBytes = kShardBytes;
  bool overwrite = false;
  std::string policy;  // of no name: none
};
void addExportOptions(CLI::App* verb, ExportSettings& settings);

/// Refuses, from headers alone and before any work, what the export would refuse at its end: a form that cannot hold
/// such a plan, a target that cannot be written.
Result<void> checkExport(const ExportSettings& settings, const Checkpoint& checkpoint,
                         const DecoderDescription& description, const CompressionPlan& plan);

/// Errors: invalidArgument (a policy that there is not).
Result<ExportPlace> placeOf(const ExportSettings& settings);

}  // namespace kvista
