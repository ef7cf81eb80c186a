// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// A model on disk: its configuration in Hugging Face's terms and its tensors. Headers only until a tensor is read.
struct Checkpoint {
  enum class Format { safetensors, pytorch, gguf };

  std::filesystem::path path;  ///< Folder, or the GGUF file.
  Format format = Format::safetensors;
  nlohmann::json config;  ///< config.json, or what a GGUF's metadata says in the same keys.
  std::shared_ptr<const TensorStore> tensors;
  std::vector<std::filesystem::path> files;  ///< Weight files, in order.
  std::vector<std::string> warnings;
  std::filesystem::path companionPath = {};  ///< See companions(); empty: `path`.

  /// Where tokenizer, chat template and licence lie: an adapter may have none of its own.
  [[nodiscard]] const std::filesystem::path& companions() const { return companionPath.empty() ? path : companionPath; }
};

/// "safetensors", "pytorch", "gguf".
std::string_view nameOf(Checkpoint::Format format);

/// Opens a folder (config.json with model.safetensors or an index and its shards), a .safetensors or index file inside
/// such a folder, or a .gguf file; detected by content, not by name; without safetensors, pytorch_model.bin or its
/// index and shards, read without running anything in them (core/io/torch_file.h); without weights, a folder with
/// kvista-virtual.json, whose tensors are made as they are read (core/io/virtual_tensors.h); without config.json, a
/// folder with one GGUF file. Quantised weights are read as numbers (core/io/quantised). A folder with an adapter
/// (adapter_config.json) stands for its base model with the adapter added (core/io/adapter.h). Checks every header,
/// offset, count and shape for consistency with itself; the family's description checks them against the configuration
/// (core/model). Errors: corruptFile, io, unsupportedModel, each naming file and field.
Result<Checkpoint> openCheckpoint(const std::filesystem::path& path);

/// Hash (16 hex digits, XXH3) of configuration and weights; two paths to the same content agree. Large files are hashed
/// by size, header and 64 evenly spaced blocks of 128 KiB, so that a checkpoint of many shards is known in a fraction
/// of a second.
Result<std::string> contentHash(const Checkpoint& checkpoint);

}  // namespace kvista
