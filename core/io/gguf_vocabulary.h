// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/gguf.h"
#include "core/io/gguf_writer.h"

namespace kvista {

/// Adds to `metadata` what a GGUF file says of a tokenizer, the inverse of readGgufTokenizer: tokens with their types
/// and scores or merges, the name of the pre-tokenizer, tokens with a role, the chat template. A null tokenizer.json
/// means that there is no vocabulary. `rows`: of the embedding; a file has as many tokens, so ids that no token has get
/// one that is never used, and tokens beyond are left out. `eosIds`: of the configuration, the first one where
/// tokenizer_config.json names none; any other that generation ends at comes after it. Answers notes on what is left
/// out. Errors: unsupportedModel (a part of the tokenizer that GGUF has no words for, which is named), corruptFile.
Result<std::vector<std::string>> addGgufVocabulary(const GgufTokenizer& files, std::size_t rows,
                                                   const std::vector<std::size_t>& eosIds, GgufMetadata& metadata);

}  // namespace kvista
