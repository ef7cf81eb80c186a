// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/text/tokenizer.h"

namespace kvista {

/// The tokenizer that a checkpoint brings: tokenizer.json of its folder, or the vocabulary in its GGUF file.
Result<Tokenizer> tokenizerOf(const Checkpoint& checkpoint);

/// Id of the token that begins a text, from the configuration; absent where it names none.
std::optional<std::uint32_t> bosTokenOf(const Checkpoint& checkpoint);

/// Ids of the tokens that end a text, from the configuration.
std::vector<std::uint32_t> endTokensOf(const Checkpoint& checkpoint);

}  // namespace kvista
