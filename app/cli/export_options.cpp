// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/export_options.h"

#include "app/cli/option_checks.h"
#include "core/checkpoint/export_form.h"
#include "core/checkpoint/export_target.h"

namespace kvista {

void addExportOptions(CLI::App* verb, ExportSettings& settings) {
  verb->add_option("-o,--output", settings.target, "Folder to write; it appears whole or not at all")->required();
  verb->add_option("--form", settings.form, "See `kvista list forms`")->check(oneOf(namesOf(exportForms())))->capture_default_str();
  verb->add_option("--factor-dtype", settings.dtype, "How computed tensors are written; all others keep their type")
      ->check(oneOf({"float32", "bfloat16", "float16"}))
      ->capture_default_str();
  verb->add_flag("--overwrite", settings.overwrite, "Replace an earlier export");
}

Result<void> checkExport(const ExportSettings& settings, const Checkpoint& checkpoint, const DecoderDescription& description,
                         const CompressionPlan& plan) {
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(settings.form));
  KVISTA_CHECK(form->check(plan, description));
  return checkTarget(settings.target, checkpoint, settings.overwrite);
}

ExportPlace placeOf(const ExportSettings& settings) {
  ExportPlace place{.form = settings.form, .target = settings.target, .overwrite = settings.overwrite};
  if (settings.dtype == "bfloat16") place.dtype = DataType::bf16;
  if (settings.dtype == "float16") place.dtype = DataType::f16;
  return place;
}

}  // namespace kvista
