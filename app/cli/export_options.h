// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "core/checkpoint/export_checkpoint.h"

namespace kvista {

struct ExportSettings {
  std::string target;
  std::string form = "latent";
  std::string dtype = "float32";
  bool overwrite = false;
};
void addExportOptions(CLI::App* verb, ExportSettings& settings);

/// Puts the settings into a request whose references are set.
void apply(const ExportSettings& settings, ExportRequest& request);

}  // namespace kvista
