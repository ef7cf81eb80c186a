// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What a GGUF file says, in Hugging Face's terms.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/io/gguf.h"
#include "core/io/gguf_file.h"

namespace kvista {

struct GgufArchitecture;

/// What `general.architecture` names, refused (unsupportedModel) unless KVista reads it; also refuses parts of split
/// files.
Result<const GgufArchitecture*> ggufArchitecture(const GgufFile& file);

/// config.json of the model.
Result<nlohmann::json> ggufConfig(const GgufFile& file);

/// The file's tensors under Hugging Face's names. `config` is ggufConfig's answer for the same file.
Result<std::shared_ptr<const TensorStore>> ggufTensors(std::shared_ptr<const GgufFile> file,
                                                       const nlohmann::json& config);

/// tokenizer.json and tokenizer_config.json of the model.
Result<GgufTokenizer> ggufTokenizer(const GgufFile& file);

/// What `tokenizer.ggml.pre` stands for.
struct GgufPreTokenizer {
  nlohmann::json normalizer;    ///< null or {"type": "NFC"}
  nlohmann::json preTokenizer;  ///< As in tokenizer.json.
  bool ignoreMerges = false;    ///< A word that is in the vocabulary is taken whole.
  bool addBos = false;          ///< Unless `tokenizer.ggml.add_bos_token` says otherwise.
};
/// Nothing for a name that is not known.
std::optional<GgufPreTokenizer> ggufPreTokenizer(std::string_view name);
/// The inverse: of a tokenizer.json, whose normalizer and pre_tokenizer are looked at, the name under which llama.cpp
/// has the same.
std::optional<std::string_view> ggufPreTokenizerNameOf(const nlohmann::json& tokenizer, bool ignoreMerges);
/// Known names, separated by commas.
std::string ggufPreTokenizerNames();

}  // namespace kvista
