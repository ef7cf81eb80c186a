// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/io/checkpoint.h"

namespace kvista {

/// What PEFT calls the file that makes a folder an adapter's.
inline constexpr const char* kAdapterConfigName = "adapter_config.json";

/// Where the model lies that an adapter was trained on: `name` (base_model_name_or_path) as a path, from here, from the
/// adapter's `folder` or by its last part beside that; else, as a name of the Hugging Face hub, the snapshot of
/// `revision` in the cache on this machine. Error (io): nowhere, saying where to put it.
Result<std::filesystem::path> findBaseModel(const std::filesystem::path& folder, const std::string& name,
                                            const std::string& revision);

/// Adds a LoRA adapter to the model that it was trained on: W + B A alpha / r for each pair of factors that PEFT wrote
/// into `folder` (adapter_config.json with adapter_model.safetensors or .bin), and whole tensors (modules_to_save) in
/// place of the model's. Sums are not rounded to the model's type (DataType::packed). `base` becomes the adapter's
/// checkpoint: its path is `folder`, and its warnings name the base. Errors: unsupportedModel for another kind of
/// adapter; corruptFile where factors and model do not fit; each naming file and module.
Result<void> addAdapter(const std::filesystem::path& folder, const nlohmann::json& config, Checkpoint& base);

}  // namespace kvista
