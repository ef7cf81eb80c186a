// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "core/io/checkpoint.h"
#include "core/model/description.h"

namespace kvista {

/// What stands before the last two parts of a name: "model." of "model.embed_tokens.weight".
std::string_view prefixOf(std::string_view name);

/// Where the configuration ties the head to the embedding and a head is stored all the same: that one counts if its
/// numbers are others, as transformers 5 has it, which is added to the warnings. Of multimodal models, whose
/// configurations say tied of any, it counts always.
void useStoredHead(DecoderDescription& description, const Checkpoint& checkpoint, bool isMultimodal);

}  // namespace kvista
