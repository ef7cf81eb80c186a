// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/io/safetensors_writer.h"
#include "core/model/description.h"

namespace kvista {

/// For forms that write an architecture which engines know: around its attention it computes what Llama does. Refuses
/// models that compute something else (invalidArgument, naming it and `form`): norms that are not of Llama's kind or
/// have other places, another MLP, experts, factors, caps, learned positions, sliding windows, layers that rotate in
/// another way than the first.
Result<void> checkIsLlamaLike(const DecoderDescription& description, std::string_view form);

/// The tensors of such a model that are carried over, under Llama's names; a tied head is written as one of its own.
/// `isChanged` says which the form computes, by those names. Keys and values are not among them.
Result<std::vector<TensorToWrite>> carriedLlama(const Checkpoint& checkpoint, const DecoderDescription& description,
                                                DataType dtype,
                                                const std::function<bool(const std::string& name)>& isChanged);

/// config.json of such a model: sizes, special tokens and rope under Llama's names, without what names or shapes an
/// architecture.
nlohmann::json llamaConfig(const Checkpoint& checkpoint, const DecoderDescription& description);

}  // namespace kvista
