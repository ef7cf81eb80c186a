// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/export_options.h"

namespace kvista {

void addExportOptions(CLI::App* verb, ExportSettings& settings) {
  verb->add_option("-o,--output", settings.target, "Folder to write; it appears whole or not at all")->required();
  verb->add_option("--form", settings.form, "See `kvista list forms`")->capture_default_str();
  verb->add_option("--factor-dtype", settings.dtype, "How computed tensors are written; all others keep their type")
      ->check(CLI::IsMember({"float32", "bfloat16", "float16"}))
      ->capture_default_str();
  verb->add_flag("--overwrite", settings.overwrite, "Replace an earlier export");
}

void apply(const ExportSettings& settings, ExportRequest& request) {
  request.form = settings.form;
  request.target = settings.target;
  request.overwrite = settings.overwrite;
  if (settings.dtype == "bfloat16") request.dtype = DataType::bf16;
  if (settings.dtype == "float16") request.dtype = DataType::f16;
}

}  // namespace kvista
