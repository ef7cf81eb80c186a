// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/export_options.h"

#include "app/cli/option_checks.h"
#include "core/checkpoint/export_form.h"
#include "core/checkpoint/export_target.h"
#include "core/policy/named_policies.h"

namespace kvista {
namespace {

DataType typeNamed(const std::string& name) {
  return name == "bfloat16" ? DataType::bf16 : name == "float16" ? DataType::f16 : DataType::f32;
}

}  // namespace

void addExportOptions(CLI::App* verb, ExportSettings& settings) {
  verb->add_option("-o,--output", settings.target, "Folder to write; it appears whole or not at all")->required();
  verb->add_option("--form", settings.form, "See `kvista list forms`")
      ->check(oneOf(namesOf(exportForms())))
      ->capture_default_str();
  verb->add_option("--container", settings.container, "gguf: one file for llama.cpp, of the forms that it knows")
      ->check(oneOf({"safetensors", "gguf"}))
      ->capture_default_str();
  verb->add_option("--factor-dtype", settings.dtype, "How computed tensors are written")
      ->check(oneOf({"float32", "bfloat16", "float16"}))
      ->capture_default_str();
  verb->add_option("--weight-dtype", settings.weightDtype, "How all others are written (default: as in the checkpoint)")
      ->check(oneOf({"float32", "bfloat16", "float16"}));
  verb->add_option("--shard-size", settings.shardBytes, "Most bytes of a weight file: 5GB, 500MB, 2GiB")
      ->transform(byteSize())
      ->default_str("5GB");
  verb->add_flag("--overwrite", settings.overwrite, "Replace an earlier export");
  verb->add_option("--policy", settings.policy,
                   "Record a run-time policy that the model code keeps its cache small with: 'snapkv share=.25 "
                   "interval=64', of the form latent")
      ->check(someText("the name of a policy"));
}

Result<void> checkExport(const ExportSettings& settings, const Checkpoint& checkpoint,
                         const DecoderDescription& description, const CompressionPlan& plan) {
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(settings.form));
  KVISTA_CHECK(form->check(plan, description, checkpoint));
  KVISTA_ASSIGN(const ExportPlace place, placeOf(settings));
  KVISTA_CHECK(checkContainer(place, checkpoint));
  KVISTA_CHECK(checkRecordedPolicy(place, plan, description));
  return checkTarget(settings.target, checkpoint, settings.overwrite);
}

Result<ExportPlace> placeOf(const ExportSettings& settings) {
  ExportPlace place{.form = settings.form,
                    .shardBytes = settings.shardBytes,
                    .target = settings.target,
                    .overwrite = settings.overwrite};
  if (settings.container == "gguf") place.container = Container::gguf;
  if (settings.dtype != "float32") place.dtype = typeNamed(settings.dtype);
  if (!settings.weightDtype.empty()) place.weightType = typeNamed(settings.weightDtype);
  if (!settings.policy.empty()) {
    KVISTA_ASSIGN(place.policy, policyFromText(settings.policy));
  }
  return place;
}

}  // namespace kvista
