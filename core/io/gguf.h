// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// A GGUF file (versions 2 and 3, little endian) in Hugging Face's terms.
struct GgufModel {
  nlohmann::json config;  ///< As config.json of the same model: model_type, hidden_size, rope_parameters, ...
  std::shared_ptr<const TensorStore> tensors;  ///< Hugging Face names; q and k rows un-permuted.
};

/// Reads header, metadata and tensor table; every count, length and offset is checked against the file's size first.
/// Architectures: those of gguf_architectures.cpp.
///
/// Frequency factors (tensor `rope_freqs.weight`, what llama.cpp makes of llama3 scaling) appear in the configuration
/// as `rope_parameters: {rope_type: "factors", rope_theta, factors: [r/2 numbers]}`: inv_freq_j = rope_theta^(-2j/r) /
/// factors[j]. Errors: io, corruptFile, unsupportedModel, each naming file and key or tensor.
Result<GgufModel> openGguf(const std::filesystem::path& file);

/// The vocabulary of a GGUF file in Hugging Face's terms.
struct GgufTokenizer {
  nlohmann::json tokenizer;        ///< As tokenizer.json; null when the file has no vocabulary.
  nlohmann::json tokenizerConfig;  ///< As tokenizer_config.json (bos_token, eos_token, chat_template, ...).
};

/// Apart from openGguf, since a vocabulary takes longer than everything else together and few callers want it.
/// Errors: as openGguf; a pre-tokenizer or vocabulary kind that is not known is named.
Result<GgufTokenizer> readGgufTokenizer(const std::filesystem::path& file);

}  // namespace kvista
