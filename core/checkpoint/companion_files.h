// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/checkpoint.h"

namespace kvista {

/// Puts what belongs to a model besides configuration and weights into `folder`: tokenizer, chat template, generation
/// settings and licence, copied, or made from a GGUF's metadata. Answers the names. Errors: io, corruptFile.
Result<std::vector<std::string>> writeCompanionFiles(const Checkpoint& checkpoint, const std::filesystem::path& folder);

/// Of these the licence alone, for a model that is one file with its tokenizer in it.
Result<std::vector<std::string>> writeLicence(const Checkpoint& checkpoint, const std::filesystem::path& folder);

}  // namespace kvista
