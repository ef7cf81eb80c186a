// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/gguf_architectures.h"
#include "core/io/gguf_writer.h"
#include "core/model/description.h"

namespace kvista {

/// What a GGUF file of this architecture says of a decoder besides its weights.
struct GgufModelMetadata {
  GgufMetadata metadata;               ///< From general.architecture to the rope.
  std::vector<TensorToWrite> tensors;  ///< Tables of rotary frequencies, float32.
  std::vector<std::string> notes;      ///< What llama.cpp does not compute as the model does, though the file says it.
};

/// Puts the description into the architecture's keys; whether they say all of it, reading them back tells. `config`:
/// where the description comes from, for what it holds in another form (yarn's ramp). Errors: unsupportedModel (no key
/// can say it), invalidArgument (a number beyond 32 bits).
Result<GgufModelMetadata> describeInGguf(const DecoderDescription& description, const nlohmann::json& config,
                                         const GgufArchitecture& architecture);

/// In words the first thing that two descriptions of a decoder tell apart, "the sliding window of layer 3"; empty where
/// they compute the same. Numbers that a GGUF file holds in 32 bits may differ by as much.
std::string firstDifference(const DecoderDescription& a, const DecoderDescription& b);

}  // namespace kvista
