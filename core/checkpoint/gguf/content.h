// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/io/gguf_writer.h"

namespace kvista {

/// The name of the one file of weights where an export is a GGUF file.
inline constexpr std::string_view kGgufName = "model.gguf";

/// What runs it, in words.
inline constexpr std::string_view kGgufRunsIn = "llama.cpp and what is built on it";

/// A model as one GGUF file.
struct GgufContent {
  GgufMetadata metadata;
  std::vector<TensorToWrite> tensors;
  std::vector<std::string> notes;  ///< What the file leaves out, in sentences.
};

/// The model that `config` and `tensors` (all of them, under Hugging Face's names) make, with the tokenizer of
/// `source`, in llama.cpp's terms. What the metadata says is read back and held against the model, and so is the
/// tokenizer on some text, before anything is written: what a GGUF file cannot say is refused. No weight is read.
/// Errors: unsupportedModel (with what cannot be said), invalidArgument, corruptFile, io.
Result<GgufContent> contentOfGguf(const nlohmann::json& config, std::vector<TensorToWrite> tensors,
                                  const Checkpoint& source);

}  // namespace kvista
